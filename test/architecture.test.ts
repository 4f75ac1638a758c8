import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findCycle, importsOf, longFunctions } from './architecture/read-source.ts'
import { exempt, limits, mayImport, publicLeaves, roomOf, topFolders } from './architecture/rules.ts'

const root = resolve(import.meta.dirname, '..')
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((file) => topFolders.some((folder) => file.startsWith(`${folder}/`)))
const isTest = (file: string) => file.endsWith('.test.ts') || file.startsWith('test/')
const isStartedByName = (file: string) => exempt.startedByName.includes(file) || file.startsWith(exempt.generators)
const product = files.filter((file) => !isTest(file))
const text = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
const textOf = (file: string) => text.get(file) ?? ''

/** Files of this project that `file` imports. */
const graph = new Map(
  files.map((file) => [
    file,
    importsOf(textOf(file))
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => relative(root, resolve(root, dirname(file), specifier))),
  ]),
)

describe('architecture', () => {
  it('imports: only along the table', () => {
    const wrong = product.flatMap((file) =>
      (graph.get(file) ?? [])
        .filter((target) => target.endsWith('.ts') && !mayImport(roomOf(file), roomOf(target)))
        .map((target) => `${file} (${roomOf(file)}) imports ${target} (${roomOf(target)})`),
    )
    expect(wrong).toEqual([])
  })

  it('imports: another top-level folder only through its index.ts or a public leaf', () => {
    const wrong = product.flatMap((file) =>
      (graph.get(file) ?? [])
        .filter((target) => target.split('/')[0] !== file.split('/')[0])
        .filter(
          (target) => !/^[\w-]+\/index\.ts$/.test(target) && !publicLeaves.some((leaf) => target.startsWith(leaf)),
        )
        .filter(() => !file.startsWith('bin/'))
        .map((target) => `${file} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  it('imports: no cycle', () => {
    expect(findCycle(graph)).toEqual([])
  })

  it('files: none is dead', () => {
    const imported = new Set([...graph].filter(([file]) => !isTest(file)).flatMap(([, targets]) => targets))
    const started = (file: string) => file.startsWith('bin/') || isStartedByName(file)
    expect(product.filter((file) => !imported.has(file) && !started(file))).toEqual([])
  })

  it('files: none is called utils, common or helpers', () => {
    expect(files.filter((file) => /(^|\/)(utils?|common|helpers?|misc)(\.ts|\/)/.test(file))).toEqual([])
  })

  it('sizes: files and functions stay within the limits', () => {
    const long = product
      .filter((file) => !exempt.tables.includes(file) && !file.includes('/generated/'))
      .flatMap((file) => {
        const lines = textOf(file).split('\n').length
        const functions = longFunctions(file, textOf(file), limits.functionLines)
        return [...(lines > limits.fileLines ? [`${file}: ${lines} lines`] : []), ...functions]
      })
    expect(long).toEqual([])
  })

  it('runtime/base: stays a closed list of under 300 lines', () => {
    const base = product.filter((file) => file.startsWith('runtime/base/'))
    expect(base.reduce((sum, file) => sum + textOf(file).split('\n').length, 0)).toBeLessThan(limits.baseLines)
  })

  it('native code: only runtime/linux loads it or names /proc and /sys', () => {
    const wrong = product.filter(
      (file) => !file.startsWith('runtime/linux/') && /from 'koffi'|import\('koffi'\)/.test(textOf(file)),
    )
    expect(wrong).toEqual([])
  })

  it('node:http: only its types are imported, for the import of a value loads a fetch client that nobody uses', () => {
    expect(product.filter((file) => /^import (?!type )[^\n]*from 'node:http'/m.test(textOf(file)))).toEqual([])
  })

  it('argv and environment: only bin reads them', () => {
    const wrong = product.filter((file) => !file.startsWith('bin/') && /process\.(argv|env)\b/.test(textOf(file)))
    expect(wrong.filter((file) => !isStartedByName(file))).toEqual([])
  })
})
