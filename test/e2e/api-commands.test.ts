/** The real kubectl, every version of this machine, over every kind of command. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Command, filled, isFor, wordsOf } from './api/command.ts'
import { applying, changing, creating, deleting, reading } from './api/objects.ts'
import { asking, certifying, running } from './api/pods.ts'
import { Cluster, kubectls, preferredKubectl } from './cluster.ts'

/** In this order: each group finds what the ones before have made. */
const groups: readonly [string, readonly Command[]][] = [
  ['create', creating],
  ['apply', applying],
  ['patch, label, scale, set, taint', changing],
  ['get, describe, explain', reading],
  ['logs, exec, cp, proxy, top, debug, drain', running],
  ['auth, token', asking],
  ['certificate', certifying],
  ['delete', deleting],
]

describe.skipIf(preferredKubectl() === undefined)('kubectl', () => {
  let cluster: Cluster
  beforeAll(async () => {
    // What `kubectl edit` runs.
    process.env.KUBE_EDITOR = 'sed -i s/edited-before/edited-after/'
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  const versions = kubectls()
  const byAge = versions.map(({ version }) => version).toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2)))

  describe.each(versions)('$version', ({ version, path }) => {
    const own = `v${version.replace(/\D/g, '')}`
    const marks = () => ({ own, node: cluster.nodeName })
    const run = (line: string, input = '') =>
      cluster.kubectl(['--namespace', own, ...wordsOf(filled(line, marks()))], {
        program: path,
        input: filled(input, marks()),
      })
    beforeAll(async () => {
      await cluster.ok(['create', 'namespace', own], { program: path })
    })

    it.each(groups)('%s', async (_name, commands) => {
      const wrong: string[] = []
      for (const each of commands.filter((one) => isFor(one, version))) {
        const { code, stdout, stderr } = await run(each.line, each.input)
        const expected = new RegExp(filled(each.expect.source, marks()), each.expect.flags)
        const text = each.code ? `${stdout}${stderr}` : stdout
        if (code === (each.code ?? 0) && expected.test(text)) continue
        wrong.push(`kubectl ${each.line}: exit ${code}, not ${expected}\n${stdout.slice(-600)}${stderr.slice(-600)}`)
      }
      expect(wrong.join('\n\n')).toBe('')
    })

    it('every kind: get -o wide, describe, explain', async () => {
      const rows = (await cluster.ok(['api-resources', '--verbs=list', '--no-headers'], { program: path })).trim()
      // From the right: kind, whether namespaced, version; short names may be missing.
      const kinds = rows
        .split('\n')
        .map((row) => row.split(/\s+/))
        .map((row) => [row[0] ?? '', row.at(-3) ?? ''] as const)
      expect(kinds.length).toBeGreaterThan(45)
      const all = kinds.map(([name, version]) =>
        `${name}.${version.split('/').reverse().join('.')}`.replace(/\.v1$/, '.v1.'),
      )
      // 1.20 asks for OpenAPI v2, the one after it is the first to ask for v3: those in between ask as it does.
      const explained = [...byAge.slice(0, 2), byAge.at(-1)].includes(version) ? kinds : kinds.slice(0, 3)
      const commands = [
        ...['get', 'describe'].map((verb) => [verb, all.join(','), '--all-namespaces']),
        ...explained.map(([name, version]) => [
          'explain',
          name,
          ...(version.startsWith('metrics') ? [] : [`--api-version=${version}`]),
        ]),
      ]
      const wrong: string[] = []
      const ask = async () => {
        for (let args = commands.shift(); args; args = commands.shift()) {
          const { code, stderr, stdout } = await cluster.kubectl(args, { program: path })
          if (code !== 0 || stdout === '') wrong.push(`${args[0]} ${args[1]}: ${stderr.slice(-300)}`)
        }
      }
      // Nothing here depends on what came before.
      await Promise.all([ask(), ask(), ask()])
      expect(wrong.join('\n')).toBe('')
    })
  })
})
