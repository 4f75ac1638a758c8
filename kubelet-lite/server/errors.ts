/** Answered with 404. */
export class NotFound extends Error {}

/** Answered with 400. */
export class BadRequest extends Error {}
