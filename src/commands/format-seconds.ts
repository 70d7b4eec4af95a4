/** For people: `0.4 s`, `42 s`, `12 min 30 s`, `3 h 5 min`. Not negative. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [large, small, units] =
    whole < 3600 ? [whole / 60, whole % 60, ['min', 's']] : [whole / 3600, (whole % 3600) / 60, ['h', 'min']];
  const rest = Math.floor(small) === 0 ? '' : ` ${Math.floor(small)} ${units[1]}`;
  return `${Math.floor(large)} ${units[0]}${rest}`;
}
