import type { Upgrade } from './remote-command.ts'
import type { Target } from './target.ts'
export async function portForward(_target: Target, _upgrade: Upgrade): Promise<void> {}
