/** Who asks. */
export interface User {
  readonly name: string
  readonly groups: readonly string[]
}

/** The server's own parts, and whoever holds the certificate that the first start makes. */
export const mastersGroup = 'system:masters'
