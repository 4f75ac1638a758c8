/** The first text after all those that start with `prefix`, which is not empty and ends in ASCII. */
export function endOf(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
