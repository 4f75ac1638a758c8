/** Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go. */
import { checkLabelValue, checkQualifiedName } from '../names.ts'
import type { LabelSelector } from '../types.ts'
import { validateLabels } from './metadata.ts'
import { allOf, eachItem, invalidName, invalidValue, notAllowed, type Problem, required } from './problem.ts'

/** What is wrong with a label selector. */
export function validateSelector(selector: LabelSelector | undefined, field: string): readonly Problem[] {
  return allOf(
    validateLabels(selector?.matchLabels, `${field}.matchLabels`),
    eachItem(selector?.matchExpressions, `${field}.matchExpressions`, ({ key, operator, values = [] }, at) =>
      allOf(
        validateValues(operator, values, at),
        invalidName(`${at}.key`, key, checkQualifiedName(key)),
        eachItem(values, `${at}.values`, (value, each) => invalidName(each, value, checkLabelValue(value))),
      ),
    ),
  )
}

function validateValues(operator: string, values: readonly string[], field: string): readonly Problem[] {
  return (
    validateCount(operator, values, field) ?? [
      invalidValue(`${field}.operator`, operator, 'not a valid selector operator'),
    ]
  )
}

/** Whether there are as many values as the operator takes; undefined for one that not all selectors know. */
export function validateCount(
  operator: string,
  values: readonly string[],
  field: string,
): readonly Problem[] | undefined {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0
        ? []
        : [required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'")]
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? []
        : [notAllowed(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    default:
      return undefined
  }
}

/** True if nothing is selected by it in particular. */
export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {}
  return Object.keys(matchLabels).length + matchExpressions.length === 0
}
