import type { ResourceLimits } from 'node:worker_threads';

/**
 * For threads through which bytes go by: what they allocate is soon of no use, and without a limit each lets three times as much of it lie about
 * before it looks.
 */
export const THREAD_LIMITS: ResourceLimits = { maxYoungGenerationSizeMb: 12 };
