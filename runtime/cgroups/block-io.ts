import { existsSync } from 'node:fs'
import type { OciBlockIo } from '../spec/types.ts'
import { cgroupUnsupported } from './errors.ts'
import { writeValue } from './files.ts'

const field = 'linux.resources.blockIO'

/** The four throttles of config.json, as v1 and v2 call them. */
const throttles = [
  ['throttleReadBpsDevice', 'blkio.throttle.read_bps_device', 'rbps'],
  ['throttleWriteBpsDevice', 'blkio.throttle.write_bps_device', 'wbps'],
  ['throttleReadIOPSDevice', 'blkio.throttle.read_iops_device', 'riops'],
  ['throttleWriteIOPSDevice', 'blkio.throttle.write_iops_device', 'wiops'],
] as const

/** Weights (10 … 1000) and throttles (bytes or operations a second) of v1's blkio. Throws CGROUP_UNSUPPORTED, CGROUP_FAILED. */
export function setBlkio(folder: string, blockIo: OciBlockIo): void {
  const { weight, leafWeight, weightDevice = [] } = blockIo
  const file = (name: string) => {
    const found = [`${folder}/blkio.bfq.${name}`, `${folder}/blkio.${name}`].find((path) => existsSync(path))
    if (!found) throw cgroupUnsupported(`${field}.${name}`, 'this kernel has no weights for block devices')
    return found
  }
  if (weight) writeValue(file('weight'), weight)
  if (leafWeight) writeValue(file('leaf_weight'), leafWeight)
  for (const { major, minor, weight, leafWeight } of weightDevice) {
    if (weight) writeValue(file('weight_device'), `${major}:${minor} ${weight}`)
    if (leafWeight) writeValue(file('leaf_weight_device'), `${major}:${minor} ${leafWeight}`)
  }
  for (const [key, name] of throttles) {
    for (const { major, minor, rate } of blockIo[key] ?? []) {
      writeValue(`${folder}/${name}`, `${major}:${minor} ${rate}`)
    }
  }
}

/** The same on v2; a rate of 0 takes a throttle away, as on v1. Throws CGROUP_UNSUPPORTED for leaf weights, CGROUP_FAILED. */
export function setIo(folder: string, blockIo: OciBlockIo): void {
  const { weight, leafWeight, weightDevice = [] } = blockIo
  if (leafWeight || weightDevice.some((device) => device.leafWeight)) {
    throw cgroupUnsupported(`${field}.leafWeight`, 'cgroup v2 has none')
  }
  const setWeight = (of: string, value: number) => {
    const bfq = `${folder}/io.bfq.weight`
    if (existsSync(bfq)) writeValue(bfq, `${of} ${value}`)
    else if (existsSync(`${folder}/io.weight`)) writeValue(`${folder}/io.weight`, `${of} ${weightOfBlkio(value)}`)
    else throw cgroupUnsupported(`${field}.weight`, 'this kernel has no weights for block devices')
  }
  if (weight) setWeight('default', weight)
  for (const { major, minor, weight } of weightDevice) if (weight) setWeight(`${major}:${minor}`, weight)
  for (const [key, , name] of throttles) {
    for (const { major, minor, rate } of blockIo[key] ?? []) {
      writeValue(`${folder}/io.max`, `${major}:${minor} ${name}=${rate === 0 ? 'max' : rate}`)
    }
  }
}

/** 10 … 1000 onto io.weight's 1 … 10000, straight, as runc and crun do. */
export function weightOfBlkio(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990)
}
