import koffi from 'koffi'
import { CoracleError, messageOf } from '../base/errors.ts'

/** One atomic change, or one listing, of the packet filter of a network namespace. */
export interface Nftables {
  /**
   * Runs commands in the language of nft(8) as one transaction: all of them or none. Returns what nft would print.
   * Throws `NFTABLES` with nft's own words.
   */
  run(commands: string): string
  close(): void
}

const library = 'libnftables.so.1'

interface Functions {
  create: (flags: number) => unknown
  free: (context: unknown) => void
  bufferOutput: (context: unknown) => number
  bufferError: (context: unknown) => number
  output: (context: unknown) => string | null
  error: (context: unknown) => string | null
  run: (context: unknown, commands: string) => number
}

let functions: Functions | undefined

/**
 * Opens libnftables in the network namespace of the calling thread; the handle stays there. Throws `NFTABLES_MISSING`
 * when the library is not installed. See libnftables(3).
 */
export function openNftables(): Nftables {
  functions ??= loadLibrary()
  const nft = functions
  const context = nft.create(0)
  if (!context) throw new CoracleError('open nftables: libnftables gave no context', { code: 'NFTABLES' })
  nft.bufferOutput(context)
  nft.bufferError(context)
  return {
    run(commands) {
      const status = nft.run(context, commands)
      // Reading a buffer empties it, so both are read after every command.
      const output = nft.output(context) ?? ''
      const error = nft.error(context) ?? ''
      if (status !== 0) throw refusal(error, commands)
      return output
    },
    close: () => nft.free(context),
  }
}

function refusal(error: string, commands: string): CoracleError {
  const reason = error.split('\n').find((line) => line.includes('Error:')) ?? error.trim()
  return new CoracleError(`change packet filter: ${reason.replace(/^.*Error:\s*/, '') || 'refused without a reason'}`, {
    code: 'NFTABLES',
    facts: { commands, output: error.trim() },
  })
}

function loadLibrary(): Functions {
  try {
    const nft = koffi.load(library)
    return {
      create: nft.func('void *nft_ctx_new(uint32_t flags)'),
      free: nft.func('void nft_ctx_free(void *context)'),
      bufferOutput: nft.func('int nft_ctx_buffer_output(void *context)'),
      bufferError: nft.func('int nft_ctx_buffer_error(void *context)'),
      output: nft.func('const char *nft_ctx_get_output_buffer(void *context)'),
      error: nft.func('const char *nft_ctx_get_error_buffer(void *context)'),
      run: nft.func('int nft_run_cmd_from_buffer(void *context, const char *commands)'),
    }
  } catch (error) {
    throw new CoracleError(`open nftables: ${library}: ${messageOf(error)}`, {
      code: 'NFTABLES_MISSING',
      hint: 'install the package libnftables1 (Debian, Ubuntu) or nftables-libs (Fedora, Alpine)',
      cause: error,
    })
  }
}
