import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { imageError } from '../errors.ts'
import type { Credentials } from './auth.ts'

export interface HelperQuestion {
  /** `pass` for the program `docker-credential-pass`. */
  program: string
  /** The registry as the program knows it. */
  server: string
  /** Folders in which it is looked for, with colons between them. */
  path: string
  signal: AbortSignal | undefined
  timeLimitMs?: number
}

const answersWithinMs = 30_000
const longestAnswer = 1 << 20

/**
 * Asks a program of the operator's for a user: `docker-credential-<program> get`, the registry on its standard input, the
 * answer as JSON (docker/docker-credential-helpers, README). Passwords live there and nowhere else, so this is the one
 * place where images start a program. Undefined when it knows none; throws `IMAGE_CREDENTIALS`.
 */
export async function askHelper(question: HelperQuestion): Promise<Credentials | undefined> {
  const { program, server } = question
  const failed = (reason: string, cause?: unknown) =>
    imageError('IMAGE_CREDENTIALS', `ask docker-credential-${program} for the user of ${server}: ${reason}`, { cause })
  // It becomes part of a path.
  if (!/^[\w.-]+$/.test(program)) throw failed('that is no name of a program')
  const { code, output } = await run(question).catch((error: unknown) => {
    question.signal?.throwIfAborted()
    throw failed(reasonOf(error, question), error)
  })
  // The protocol has no other sign for it than this text.
  if (code !== 0 && /credentials not found/i.test(output)) return undefined
  if (code !== 0) throw failed(output.trim().slice(0, 200) || `it ends with ${code}`)
  const answer = parse(output)
  if (!answer) throw failed('its answer is no user with a secret')
  const { Username, Secret } = answer
  return Username === '<token>'
    ? { username: '', password: '', identityToken: Secret }
    : { username: Username, password: Secret }
}

async function run({ program, server, path, signal, timeLimitMs = answersWithinMs }: HelperQuestion) {
  const late = AbortSignal.timeout(timeLimitMs)
  const child = spawn(`docker-credential-${program}`, ['get'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: path },
    signal: signal ? AbortSignal.any([signal, late]) : late,
    killSignal: 'SIGKILL',
  })
  let output = ''
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString()
    if (output.length > longestAnswer) child.kill('SIGKILL')
  })
  // A program that ends without reading its input says why by its code.
  child.stdin.on('error', () => {})
  child.stdin.end(server)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

function reasonOf(error: unknown, { timeLimitMs = answersWithinMs }: HelperQuestion): string {
  const { code, name, message } = error as Error & { code?: string }
  if (code === 'ENOENT') return 'there is no such program'
  return name === 'AbortError' ? `no answer within ${timeLimitMs / 1000} s` : message
}

function parse(output: string): { Username: string; Secret: string } | undefined {
  try {
    const { Username, Secret } = JSON.parse(output) as Record<string, unknown>
    return typeof Username === 'string' && typeof Secret === 'string' ? { Username, Secret } : undefined
  } catch {
    return undefined
  }
}
