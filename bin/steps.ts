/** Progress for a person: one line a step, with its time. */
export interface Steps {
  /** Runs `work` and prints `name` with what it returned (if anything) and how long it took. */
  step<T>(name: string, work: () => Promise<T>, say?: (result: T) => string): Promise<T>
  line(text: string): void
  /** Milliseconds since the first step. */
  elapsed(): number
}

/** Writes to `out`, e.g. process.stdout. */
export function printedSteps(out: { write(text: string): unknown }): Steps {
  const begun = performance.now()
  return {
    async step(name, work, say) {
      const started = performance.now()
      const result = await work()
      const took = `${(performance.now() - started).toFixed(0).padStart(6)} ms`
      const said = say?.(result) ?? ''
      out.write(`${took}  ${name}${said === '' ? '' : `: ${said}`}\n`)
      return result
    },
    line: (text) => void out.write(`${text}\n`),
    elapsed: () => performance.now() - begun,
  }
}
