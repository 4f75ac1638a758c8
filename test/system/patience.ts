/** How many times longer than usual things may take (`CORACLE_PATIENCE`): in an emulated machine they do. vitest.config.ts goes by it too. */
export const patience = Number(process.env.CORACLE_PATIENCE ?? '1')

/** Milliseconds that are a limit and no measure. */
export const patient = (milliseconds: number): number => milliseconds * patience
