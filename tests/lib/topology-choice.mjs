// What Redis the tests run against: a single one, or what TEST_REDIS names.
const kinds = ["sentinel", "cluster"];

export const topology = process.env.TEST_REDIS || null;

if (topology !== null && !kinds.includes(topology)) throw new Error(`TEST_REDIS is ${topology}: it can be ${kinds.join(" or ")}`);

/** For the option `skip` of a test that makes no sense with this topology ("sentinel", "cluster", or "any"): the reason, or false. */
export const unfit = (kind, reason) => topology !== null && (kind === "any" || kind === topology) && `${topology}: ${reason}`;
