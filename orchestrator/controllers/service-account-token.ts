/** Secrets of type kubernetes.io/service-account-token get their token, and go with their account (upstream: tokens controller). */
import { hasCode } from '../../runtime/base/errors.ts'
import { resources } from '../api/resources.ts'
import type { Secret, ServiceAccount } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'
import { Informer, keyOfObject, splitKey } from '../client/informer.ts'
import { updateUntilNoConflict } from '../client/update-on-conflict.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

export interface TokenSource {
  /** The authority in whose name the API server shows itself, as PEM. */
  readonly caPem: string
  /** A token that lasts as long as the secret. */
  issueLegacyToken(claims: {
    readonly namespace: string
    readonly serviceaccount: { readonly name: string; readonly uid: string }
    readonly secret: { readonly name: string; readonly uid: string }
  }): Promise<string>
}

const type = 'kubernetes.io/service-account-token'
const nameAnnotation = 'kubernetes.io/service-account.name'
const uidAnnotation = 'kubernetes.io/service-account.uid'

export function serviceAccountTokenController(options: ControllerOptions & { tokens: TokenSource }): Controller {
  const { client, tokens } = options
  const reconciler = new Reconciler({ ...options, name: 'service-account-token', reconcile: (key) => reconcile(key) })
  const secrets: Informer<Secret> = new Informer<Secret>({
    client,
    resource: resources.secrets,
    fieldSelector: `type=${type}`,
    onChange: (key) => reconciler.add(key),
    indexes: { account: (secret) => [accountOf(secret)] },
  })
  const accounts = new Informer<ServiceAccount>({
    client,
    resource: resources.serviceAccounts,
    onChange: (account) => {
      for (const secret of secrets.byIndex('account', account)) reconciler.add(keyOfObject(secret))
    },
  })
  const reconcile = async (key: string) => {
    const secret = secrets.get(key)
    if (!secret || secret.metadata?.deletionTimestamp !== undefined || !ownerOf(secret)) return
    const account = accounts.get(accountOf(secret)) ?? (await newestAccount(client, secret))
    const uid = secret.metadata?.annotations?.[uidAnnotation]
    if (!account || (uid && uid !== account.metadata?.uid)) await drop(client, secret)
    else if (!isFilled(secret, tokens.caPem)) await fill(key, await dataFor(secret, account), account)
  }
  const dataFor = async (secret: Secret, account: ServiceAccount) => {
    const { name = '', namespace = '', uid = '' } = secret.metadata ?? {}
    const serviceaccount = { name: account.metadata?.name ?? '', uid: account.metadata?.uid ?? '' }
    const token = await tokens.issueLegacyToken({ namespace, serviceaccount, secret: { name, uid } })
    return { 'ca.crt': base64(tokens.caPem), namespace: base64(namespace), token: base64(token) }
  }
  const fill = (key: string, data: Record<string, string>, account: ServiceAccount) =>
    updateUntilNoConflict(
      { client, resource: resources.secrets, key: splitKey(key) },
      {
        next: (secret) => ({
          ...secret,
          metadata: {
            ...secret.metadata,
            annotations: { ...secret.metadata?.annotations, [uidAnnotation]: account.metadata?.uid ?? '' },
          },
          data: { ...data, ...(secret.data?.token ? { token: secret.data.token } : {}), ...extrasOf(secret) },
        }),
      },
    )
  return reconciler.with([accounts, secrets])
}

/** The account may be younger than what we have heard of it. */
async function newestAccount(client: ApiClient, secret: Secret): Promise<ServiceAccount | undefined> {
  try {
    return await client.get(resources.serviceAccounts, splitKey(accountOf(secret)))
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

async function drop(client: ApiClient, { metadata = {} }: Secret): Promise<void> {
  const { name = '', namespace = '', uid = '' } = metadata
  await client.delete(resources.secrets, { name, namespace }, { preconditions: { uid } }).catch((error: unknown) => {
    if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
  })
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

const ownerOf = ({ metadata }: Secret) => metadata?.annotations?.[nameAnnotation] ?? ''

const accountOf = (secret: Secret) => `${secret.metadata?.namespace}/${ownerOf(secret)}`

/** What somebody has put there besides. */
function extrasOf({ data = {} }: Secret): Record<string, string> {
  const own = ['ca.crt', 'namespace', 'token']
  return Object.fromEntries(Object.entries(data).filter(([key]) => !own.includes(key)))
}

function isFilled({ metadata, data }: Secret, caPem: string): boolean {
  const isMarked = Boolean(metadata?.annotations?.[uidAnnotation])
  return isMarked && Boolean(data?.token) && Boolean(data?.namespace) && data?.['ca.crt'] === base64(caPem)
}
