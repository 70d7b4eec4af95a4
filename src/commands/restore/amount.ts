/** How much of something there is. */
export interface Amount {
  files: number;
  bytes: number;
}

export function addTo(amount: Amount, bytes: number): void {
  amount.files += 1;
  amount.bytes += bytes;
}
