/** A benchmark that is told to end does so through the exit listeners, which stop its servers and remove their files. */
export function endBySignals(): void {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}
