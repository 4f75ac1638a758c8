export { type ApiServer, type ServerOptions, startServer } from './apiserver/server.ts'
export { writeKubeconfig } from './auth/kubeconfig.ts'
export type { KeyPair, Pki } from './auth/pki.ts'
