/*
 * The player: walks a tape of recorded system calls. Freestanding, no libc, no data of its own.
 * Descriptor 3 is the tape, mapped privately at the address for which its pointers were recorded; descriptor 4 takes
 * reports {index, result}. A result below 0 is -errno. See runtime/tape/README.md for the fields of an entry.
 */
typedef unsigned long u64;
struct entry {
  unsigned short number;
  unsigned char references; /* bit k: argument k is the index of an earlier entry, whose result is meant */
  unsigned char policy;     /* ABORT IGNORE PARENT_LEAVES REPEAT */
  unsigned short tolerated[2];
  u64 argument[6];
  u64 store; /* where to put the result as 32 bits, or 0 */
  long result;
};
struct tape {
  u64 count, unused;
  struct entry entry[];
};
enum { ABORT, IGNORE, PARENT_LEAVES, REPEAT };

#if defined(__x86_64__)
enum { MMAP = 9, LSEEK = 8, WRITE = 1, EXIT_GROUP = 231 };
static inline long call(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return n;
}
#else
enum { MMAP = 222, LSEEK = 62, WRITE = 64, EXIT_GROUP = 94 };
static inline long call(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  register u64 x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
  register u64 x4 __asm__("x4") = e, x5 __asm__("x5") = f, x8 __asm__("x8") = n;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
  return x0;
}
#endif

static inline __attribute__((noreturn)) void leave(u64 index, long result, u64 status) {
  volatile u64 report[2] = {index, result};
  call(WRITE, 4, (u64)report, sizeof report, 0, 0, 0);
  for (;;) call(EXIT_GROUP, status, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) void _start(void) {
  struct tape *tape = (struct tape *)0x10000000;
  call(MMAP, (u64)tape, call(LSEEK, 3, 0, 2, 0, 0, 0), 3 /* READ|WRITE */, 0x12 /* PRIVATE|FIXED */, 3, 0);
  for (u64 i = 0; i < tape->count; i++) {
    struct entry *e = &tape->entry[i];
    u64 a[6];
    long r = 0;
    for (int k = 0; k < 6; k++) {
      a[k] = e->argument[k];
      if (!(e->references >> k & 1)) continue;
      a[k] = tape->entry[a[k]].result;
      if ((long)a[k] < 0) r = a[k]; /* an entry that needs a result that there is not is skipped */
    }
    int skipped = r < 0;
    if (!skipped) r = call(e->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    e->result = r;
    if (r < 0) {
      int tolerated = skipped || e->policy == IGNORE || e->policy == REPEAT || -r == e->tolerated[0] || -r == e->tolerated[1];
      if (!tolerated) leave(i, r, 1);
    } else {
      if (e->store) *(unsigned *)e->store = r;
      if (e->policy == PARENT_LEAVES && r > 0) leave(i, r, 0);
    }
    if (e->policy == REPEAT) i--;
  }
  leave(tape->count, 0, 0);
}
