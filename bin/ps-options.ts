import { type PsColumn, psColumn, psColumnNames } from '../runtime/container/ps-columns.ts'
import { usage } from './oci-flags.ts'

/** What `ps` was asked for. */
export interface PsRequest {
  columns: readonly PsColumn[]
  withTitles: boolean
}

/*
 * The options of ps(1), of which `runc ps ID …` hands on whatever it is given. What they choose among processes is of no use
 * here: all of the container's are shown, so that -e, -A and ax, which mean all, are taken, and others are refused by name.
 * One difference: with neither, ps(1) shows those of the caller's terminal, of which a container has none.
 */
const styles = {
  unix: {
    idle: 'eAw',
    formats: {
      '': 'pid tname time ucmd',
      f: 'user=UID pid ppid c stime tname time cmd',
      F: 'user=UID pid ppid c sz rss psr stime tname time cmd',
      j: 'pid pgid sid tname time ucmd',
      l: 'flags state uid pid ppid c opri ni addr_1 sz wchan tname time ucmd',
      fj: 'user=UID pid ppid pgid sid c stime tname time cmd',
      fl: 'flags state user=UID pid ppid c opri ni addr_1 sz wchan stime tname time cmd',
    },
  },
  bsd: {
    idle: 'axgw',
    formats: {
      '': 'pid tname stat bsdtime args',
      j: 'ppid pid pgid sid tname tpgid stat uid bsdtime args',
      l: 'flags uid pid ppid priority ni vsz rss wchan stat tname bsdtime args',
      u: 'user pid %cpu %mem vsz rss tname stat start_time bsdtime args',
    },
  },
} as const

type Style = keyof typeof styles

/** Reads the options of ps(1). Throws USAGE, naming what is not there. */
export function psRequest(words: readonly string[]): PsRequest {
  const given = words.length === 0 ? ['-ef'] : [...words]
  const style = styleOf(given)
  const letters = new Set<string>()
  const own: PsColumn[] = []
  let withTitles = true
  while (given.length > 0) {
    const word = given.shift() ?? ''
    const { flags, list } = split(word)
    if (/^--no-?head(?:ers?|ings?)$/.test(word)) withTitles = false
    else if (flags === '' && list === undefined) throw refused(word, word)
    else {
      for (const letter of flags) if (isFormat(letter, style, word)) letters.add(letter)
      if (list !== undefined) own.push(...listed(list || (given.shift() ?? '')))
    }
  }
  return { columns: own.length > 0 ? own : formatOf(letters, style), withTitles }
}

/** A word's letters, and what follows `o` or `--format`: the columns, which may be the next word instead. */
function split(word: string): { flags: string; list?: string } {
  const [isFormat, long = ''] = /^--format(?:=(.*))?$/s.exec(word) ?? []
  if (isFormat !== undefined) return { flags: '', list: long }
  if (word.startsWith('--')) return { flags: '' }
  const [, flags = '', list] = /^-?([^o]*)(?:o(.*))?$/s.exec(word) ?? []
  return { flags, ...(list === undefined ? {} : { list }) }
}

/** As ps(1) has it: `-aux` and `-e -x` are no options of the UNIX style, so that all is read in that of BSD. */
function styleOf(words: readonly string[]): Style {
  const options = words.filter((_, at) => !/^-?[a-zA-Z]*o$|^--format$/.test(words[at - 1] ?? ''))
  return options.some((word) => !word.startsWith('-') || /^-[a-np-z]*x/.test(word)) ? 'bsd' : 'unix'
}

function isFormat(letter: string, style: Style, word: string): boolean {
  const { idle, formats } = styles[style]
  // -e is of the UNIX style: beside a word of BSD's it still means all processes, not their environment.
  if (idle.includes(letter) || (letter === 'e' && word.startsWith('-'))) return false
  if (!Object.keys(formats).some((format) => format.includes(letter))) throw refused(letter, word)
  return true
}

function formatOf(letters: ReadonlySet<string>, style: Style): PsColumn[] {
  const asked = [...letters].toSorted().join('')
  const format = new Map<string, string>(Object.entries(styles[style].formats)).get(asked)
  if (!format) throw usage(`ps: the formats ${[...asked].join(' and ')} do not go together`)
  return format.split(' ').map(columnOf)
}

/** `pid,comm=NAME`, or with blanks between where nothing is given a title of its own. */
function listed(list: string): PsColumn[] {
  const items = list.split(list.includes('=') ? ',' : /[\s,]+/).filter(Boolean)
  if (items.length === 0) throw usage('ps: -o needs names of columns, such as pid,user,comm')
  return items.map(columnOf)
}

function columnOf(item: string): PsColumn {
  const [name = '', title] = item.split('=')
  const column = psColumn(name)
  if (!column) throw usage(`ps: no column ${name}: there are ${psColumnNames.toSorted().join(' ')}`)
  return title === undefined ? column : { ...column, title, width: Math.max(column.width, title.length) }
}

function refused(what: string, word: string) {
  const where = what === word ? word : `${what} of ${word}`
  return usage(
    `ps: ${where} is not there: of ps(1) there are -e -A -f -F -l -j -w -o, a x u l j w o, --format, --no-headers`,
  )
}
