/** What came of one try of a probe or hook. */
export interface Outcome {
  ok: boolean
  /** What was seen, for events. */
  output: string
  /** What is odd about a good one. */
  warning?: string
}
