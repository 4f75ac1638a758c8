import { stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { type LogOptions, readLog } from '../pod-logs.ts'
import { BadRequest } from './errors.ts'
import { findContainer, type Target } from './target.ts'

/** GET /containerLogs: the container's log as text, filtered as PodLogOptions say; 400 for options that make no sense. */
export async function serveLogs(target: Target, response: ServerResponse): Promise<void> {
  const options = parseOptions(target.query, target.options.clock.now())
  const container = await findContainer(target, target.query.get('previous') === 'true')
  if (!(await stat(container.logPath).catch(() => undefined))) {
    throw new BadRequest(`the log of container "${container.name}" is not there any more`)
  }
  const stop = new AbortController()
  response.on('close', () => stop.abort())
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.flushHeaders()
  const { runtime, clock } = target.options
  const running = async () => {
    const { containers } = await runtime.podStatus(container.podUid)
    return containers.some((each) => each.id === container.id && each.state === 'running')
  }
  for await (const piece of readLog({ path: container.logPath, options, clock, signal: stop.signal, running })) {
    if (!response.write(piece)) await drained(response)
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
}

/** Query parameters as client libraries send them (API reference: read log of the specified Pod). */
export function parseOptions(query: URLSearchParams, now: number): LogOptions {
  const tailLines = wholeNumber(query, query.has('tailLines') ? 'tailLines' : 'tail', 0)
  const limitBytes = wholeNumber(query, 'limitBytes', 1)
  const sinceSeconds = wholeNumber(query, 'sinceSeconds', 1)
  const sinceTime = query.get('sinceTime')
  const since = sinceSeconds !== undefined ? now - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined
  if (since !== undefined && Number.isNaN(since)) throw new BadRequest(`sinceTime: invalid time ${sinceTime}`)
  const stream = query.get('stream')
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since === undefined ? {} : { since }),
    ...(stream === 'Stdout' || stream === 'Stderr' ? { stream: stream.toLowerCase() as 'stdout' } : {}),
  }
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new BadRequest(`${name}: Invalid value: ${text}: must be an integer of at least ${least}`)
}
