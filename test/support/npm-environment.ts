import { spawnSync } from 'node:child_process';

/**
 * The user's download cache, which saves time and decides nothing, and how this machine reaches its registry. Asked of npm itself: its
 * machine-wide file lies under the prefix, so an install into another prefix does not read it.
 */
export function npmEnvironment(): Record<string, string> {
  const network = Object.entries(process.env).filter(([name]) => /^(NODE_EXTRA_CA_CERTS|https?_proxy)$/i.test(name));
  return {
    ...Object.fromEntries(network),
    npm_config_cache: configured('cache'),
    npm_config_registry: configured('registry'),
    npm_config_cafile: configured('cafile'),
  };
}

/** Empty where it is not set, which npm takes for its default. */
function configured(name: string): string {
  const value = spawnSync('npm', ['config', 'get', name], { encoding: 'utf8', cwd: '/' }).stdout.trim();
  return ['null', 'undefined'].includes(value) ? '' : value;
}
