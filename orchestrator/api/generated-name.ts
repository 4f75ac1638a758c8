/** Names that the server makes up. Source: k8s.io/apiserver/pkg/storage/names/generate.go. */

/** Letters and digits that spell no words and are not mistaken for each other. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
const letters = 5
const longestBase = 63 - letters

/** `base`, cut so that it stays a label, and five letters; `random(n)` is a whole number from 0 to n - 1. */
export function generatedName(base: string, random: (below: number) => number): string {
  let name = base.slice(0, longestBase)
  for (let at = 0; at < letters; at++) name += alphabet[random(alphabet.length)]
  return name
}
