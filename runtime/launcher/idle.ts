export interface Idle {
  /** Something happens: begins to count anew. */
  touch(): void
  close(): void
}

/** Calls `act` once, `milliseconds` after the last touch, and again only after another one. Keeps no process alive. */
export function whenIdle(milliseconds: number, act: () => void): Idle {
  let timer: NodeJS.Timeout | undefined
  return {
    touch() {
      // Moving a timer that runs costs next to nothing; a new one for each request would be garbage.
      if (timer) timer.refresh()
      else timer = setTimeout(act, milliseconds).unref()
    },
    close() {
      clearTimeout(timer)
    },
  }
}
