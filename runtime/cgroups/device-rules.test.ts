import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OciDeviceRule } from '../spec/types.ts'
import { deviceProgram, opcodes } from './device-program.ts'
import { type DeviceRule, deviceRules } from './device-rules.ts'
import { deviceRuleLines } from './devices-v1.ts'

interface Wish {
  type: 'b' | 'c'
  major: number
  minor: number
  access: number
}

/** What the rules mean: for each kind of access the last rule that matches decides; allowed where none does. */
function isAllowed(rules: readonly DeviceRule[], wish: Wish): boolean {
  const fits = (asked: number | undefined, is: number) => asked === undefined || asked === is
  return [1, 2, 4]
    .filter((bit) => wish.access & bit)
    .every((bit) => {
      const last = rules.findLast(
        (rule) =>
          (rule.type === 'a' || rule.type === wish.type) &&
          fits(rule.major, wish.major) &&
          fits(rule.minor, wish.minor) &&
          rule.access & bit,
      )
      return last?.allow ?? true
    })
}

/** Runs a program as the kernel does, and as strictly as its verifier: forwards only, registers set before use, answer 0 or 1. */
function interpret(program: Buffer, wish: Wish): boolean {
  const context = [(wish.access << 16) | (wish.type === 'b' ? 1 : 2), wish.major, wish.minor]
  const registers: (number | undefined)[] = [undefined, 0]
  const get = (register: number) => {
    const value = registers[register]
    if (value === undefined) throw new Error(`r${register} is read before it is set`)
    return value
  }
  for (let at = 0; at * 8 < program.length; at++) {
    const opcode = program.readUInt8(8 * at)
    const both = program.readUInt8(8 * at + 1)
    const [target, source] = [both & 15, both >> 4]
    const offset = program.readInt16LE(8 * at + 2)
    const immediate = program.readInt32LE(8 * at + 4)
    const jump = () => {
      if (offset < 0) throw new Error('a jump backwards')
      at += offset
    }
    switch (opcode) {
      case opcodes.loadWord:
        if (source !== 1) throw new Error('a load from elsewhere than the context')
        registers[target] = context[offset / 4]
        break
      case opcodes.move:
        registers[target] = immediate
        break
      case opcodes.moveRegister:
        registers[target] = get(source)
        break
      case opcodes.and:
        registers[target] = get(target) & immediate
        break
      case opcodes.shiftRight:
        registers[target] = get(target) >>> immediate
        break
      case opcodes.jump:
        jump()
        break
      case opcodes.jumpNotEqual:
        if (get(target) !== immediate) jump()
        break
      case opcodes.jumpIfBits:
        if (get(target) & immediate) jump()
        break
      case opcodes.exit:
        return get(0) === 1
      default:
        throw new Error(`opcode ${opcode}`)
    }
  }
  throw new Error('it runs off its end')
}

/** Instructions that no way leads to; the kernel's verifier refuses a program that has any. */
function unreachable(program: Buffer): number[] {
  const count = program.length / 8
  const seen = new Set<number>()
  const visit = (at: number) => {
    if (seen.has(at) || at >= count) return
    seen.add(at)
    const opcode = program.readUInt8(8 * at)
    const target = at + 1 + program.readInt16LE(8 * at + 2)
    if (opcode === opcodes.exit) return
    if (opcode === opcodes.jump) return visit(target)
    if (opcode === opcodes.jumpNotEqual || opcode === opcodes.jumpIfBits) visit(target)
    visit(at + 1)
  }
  visit(0)
  return Array.from({ length: count }, (_, at) => at).filter((at) => !seen.has(at))
}

/** The state of a v1 group as the kernel keeps it (security/device_cgroup.c): one verdict, and exceptions by their exact words. */
function kernelV1(lines: readonly { file: string; line: string }[], wish: Wish): boolean {
  let allows = true
  const exceptions = new Map<string, number>()
  for (const { file, line } of lines) {
    const isAllow = file === 'devices.allow'
    if (line.startsWith('a')) {
      allows = isAllow
      exceptions.clear()
      continue
    }
    const [type, device, letters = ''] = line.split(' ')
    const key = `${type} ${device}`
    const bits = [...letters].reduce((sum, letter) => sum | { m: 1, r: 2, w: 4 }[letter as 'm'], 0)
    const before = exceptions.get(key) ?? 0
    if (isAllow === allows) exceptions.set(key, before & ~bits)
    else exceptions.set(key, before | bits)
  }
  const matching = [...exceptions].filter(([key]) => {
    const [type, major, minor] = key.split(/[ :]/)
    const fits = (part: string | undefined, is: number) => part === '*' || Number(part) === is
    return type === wish.type && fits(major, wish.major) && fits(minor, wish.minor)
  })
  // Allowed by exceptions, all that is wanted must be in one of them; denied by exceptions, any part is enough.
  return allows
    ? !matching.some(([, bits]) => wish.access & bits)
    : wish.access === 0 || matching.some(([, bits]) => (wish.access & ~bits) === 0)
}

const number = fc.integer({ min: 0, max: 3 })
const aRule: fc.Arbitrary<OciDeviceRule> = fc.record(
  {
    allow: fc.boolean(),
    type: fc.constantFrom('a', 'b', 'c'),
    major: fc.oneof(number, fc.constant(-1)),
    minor: fc.oneof(number, fc.constant(-1)),
    access: fc.constantFrom('', 'r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm', 'mwr'),
  },
  { requiredKeys: ['allow'] },
)
const aWish = fc.record({
  type: fc.constantFrom('b' as const, 'c' as const),
  major: number,
  minor: number,
  access: fc.integer({ min: 0, max: 7 }),
})
const shown = (rules: OciDeviceRule[]) => deviceRuleLines(rules).map(({ file, line }) => `${file} ${line}`)

describe('deviceProgram', () => {
  it('decides as the rules say, whatever the rules', { timeout: 60_000 }, () => {
    const property = fc.property(
      fc.array(aRule, { maxLength: 12 }),
      fc.array(aWish, { minLength: 20 }),
      (asked, all) => {
        const rules = deviceRules(asked)
        const program = deviceProgram(rules)
        for (const wish of all) expect(interpret(program, wish)).toBe(isAllowed(rules, wish))
        expect(unreachable(program)).toEqual([])
      },
    )
    fc.assert(property, { numRuns: 2000 })
  })

  it('denies all: the default devices stay, and nodes may be made', () => {
    const program = deviceProgram(deviceRules([{ allow: false, access: 'rwm' }]))
    const asks = (type: 'b' | 'c', major: number, minor: number, access: number) =>
      interpret(program, { type, major, minor, access })
    expect(asks('c', 1, 3, 7)).toBe(true)
    expect(asks('c', 136, 17, 6)).toBe(true)
    expect(asks('b', 8, 0, 1)).toBe(true)
    expect(asks('b', 8, 0, 2)).toBe(false)
    expect(asks('c', 10, 229, 6)).toBe(false)
  })

  it('wide numbers: 20 bits of minor', () => {
    const program = deviceProgram(deviceRules([{ allow: false, type: 'b', major: 0xfff, minor: 0xfffff, access: 'r' }]))
    expect(interpret(program, { type: 'b', major: 0xfff, minor: 0xfffff, access: 2 })).toBe(false)
    expect(interpret(program, { type: 'b', major: 0xfff, minor: 0xffffe, access: 2 })).toBe(true)
  })
})

describe('deviceRules', () => {
  it.each([
    [{ type: 'x' }, 'devices[0].type'],
    [{ access: 'rx' }, 'devices[0].access'],
    [{ major: 4096 }, 'devices[0].major'],
    [{ minor: 1.5 }, 'devices[0].minor'],
    [{ minor: -2 }, 'devices[0].minor'],
  ])('%o: refused by name', (rule, field) => {
    expect(() => deviceRules([{ allow: true, ...rule }])).toThrow(field)
  })
})

describe('deviceRuleLines', () => {
  it('denies all, then the default devices', () => {
    const lines = shown([
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
    ])
    expect(lines.slice(0, 2)).toEqual(['devices.deny a', 'devices.allow c 10:229 rw'])
    expect(lines).toContain('devices.allow c 1:3 rwm')
    expect(lines).toContain('devices.allow c 136:* rwm')
  })

  it('no rule, no line', () => expect(shown([])).toEqual([]))

  it('a rule for both types is never the kernel’s rule for everything', () => {
    const one = { allow: true, type: 'a', major: 1, minor: 200, access: 'r' }
    expect(shown([{ allow: false }, one]).slice(0, 3)).toEqual([
      'devices.deny a',
      'devices.allow b 1:200 r',
      'devices.allow c 1:200 r',
    ])
    expect(shown([{ allow: false, access: 'w' }])).toEqual(['devices.deny b *:* w', 'devices.deny c *:* w'])
  })

  it('an exception from an exception: refused, for the kernel would ignore it', () => {
    const rules = [
      { allow: false },
      { allow: true, type: 'c', major: 10 },
      { allow: false, type: 'c', major: 10, minor: 1 },
    ]
    expect(() => deviceRuleLines(rules)).toThrow('cannot except "c 10:1 rwm" from "c 10:* rwm"')
  })

  it('means in the kernel never more than the rules say, and the same for each kind of access', () => {
    let refused = 0
    const property = fc.property(
      fc.array(aRule, { maxLength: 6 }),
      fc.array(aWish, { minLength: 20 }),
      (asked, all) => {
        let lines: ReturnType<typeof deviceRuleLines>
        try {
          lines = deviceRuleLines(asked)
        } catch {
          refused++
          return
        }
        const rules = deviceRules(asked)
        for (const wish of all) {
          if (kernelV1(lines, wish)) expect(isAllowed(rules, wish)).toBe(true)
          for (const access of [1, 2, 4]) {
            expect(kernelV1(lines, { ...wish, access })).toBe(isAllowed(rules, { ...wish, access }))
          }
        }
      },
    )
    fc.assert(property, { numRuns: 500 })
    expect(refused).toBeLessThan(400)
  })
})
