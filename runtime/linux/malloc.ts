import { bind } from './ffi.ts'

const mallopt = bind('int mallopt(int parameter, int value)')
const M_ARENA_MAX = -8

/**
 * Lets the threads that begin from now on share `most` heaps of the C library with those that are there. By itself it gives
 * each thread one of its own, up to eight for a processor, and what a thread has freed in its heap no other can use: large
 * buffers that go from thread to thread then cost their memory several times. mallopt(3), of glibc alone.
 */
export function shareHeaps(most: number): void {
  mallopt(M_ARENA_MAX, most)
}
