/** When a CronJob runs: five fields, or a word for them. Source: https://pkg.go.dev/github.com/robfig/cron/v3. */
import { Cron } from 'croner'
import { messageOf } from '../../../runtime/base/errors.ts'

const words = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']
const every = /^@every \d+(\.\d+)?(ns|us|µs|ms|s|m|h)(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))*$/

/** Why a text is no schedule; undefined when it is one. */
export function problemOfSchedule(text: string): string | undefined {
  if (text.startsWith('@')) {
    return words.includes(text) || every.test(text) ? undefined : `unrecognized descriptor: ${text}`
  }
  const count = text.trim().split(/\s+/).length
  if (count !== 5) return `expected exactly 5 fields, found ${count}: [${text}]`
  try {
    new Cron(text.replace(/\?/g, '*'), { paused: true, mode: '5-part' })
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Why a text is no time zone; undefined when it is one. */
export function problemOfTimeZone(name: string): string | undefined {
  if (name === '') return 'timeZone must be nil or non-empty string'
  if (name.toLowerCase() === 'local')
    return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return undefined
  } catch {
    return `unknown time zone ${name}`
  }
}
