import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { supportPage } from '../orchestrator/api/generate/support-page.ts'
import { topFolders } from './architecture/rules.ts'

const root = resolve(import.meta.dirname, '..')
const documents = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((file) => !file.includes('node_modules'))
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

describe('documents', () => {
  it('every link leads to a file', () => {
    const dead = documents.flatMap((file) =>
      [...textOf(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(resolve(root, dirname(file), target)))
        .map((target) => `${file}: ${target}`),
    )
    expect(dead).toEqual([])
  })

  it('every top-level folder says what it is for', () => {
    expect(topFolders.filter((folder) => !existsSync(join(root, folder, 'README.md')))).toEqual([])
  })

  it("the README's commands exist", () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }
    const named = [...textOf('README.md').matchAll(/npm (?:run )?(start|test|bench|check|soak)\b/g)].map(
      (match) => match[1],
    )
    expect(named.filter((name) => !(`${name}` in scripts))).toEqual([])
  })

  it('docs/support.md is what the code says', () => {
    expect(textOf('docs/support.md')).toBe(supportPage())
  })

  it('every dependency has its reason in docs/decisions.md', () => {
    const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as Record<
      string,
      Record<string, string>
    >
    const reasons = textOf('docs/decisions.md').toLowerCase()
    const names = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !name.startsWith('@types/'))
    const short = (name: string) => name.replace(/^@biomejs\//, '').toLowerCase()
    expect(names.filter((name) => !reasons.includes(short(name)))).toEqual([])
  })
})
