/**
 * Prints `name@version` of every package that this machine needs and `npm ci` has left out. An npm that runs on a Node
 * older than ours skips optional packages which ask for a newer one, without a word; and where install scripts are
 * switched off, the pinned Node comes without its binary. Plain JavaScript: it runs before Node 24 is there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.url.slice('file://'.length), '../..')
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
const libc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
const fits = ({ os, cpu, libc: wanted }) =>
  os?.includes('linux') && cpu?.includes(process.arch) && (wanted?.includes(libc) ?? true)

const optional = Object.entries(packages)
  .filter(([path, about]) => about.optional && fits(about) && !existsSync(join(root, path)))
  .map(([path, { version }]) => `${path.split('node_modules/').pop()}@${version}`)
const { version } = packages['node_modules/node']
const found = spawnSync(join(root, 'node_modules/.bin/node'), ['--version'], { encoding: 'utf8' }).stdout
const binary = found?.trim() === `v${version}` ? [] : [`node-linux-${process.arch}@${version}`]
console.log([...binary, ...optional].join(' '))
