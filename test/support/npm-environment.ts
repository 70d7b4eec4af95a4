import { spawnSync } from 'node:child_process';

/** The user's download cache, which saves time and decides nothing, and how this machine reaches its registry. */
export function npmEnvironment(): Record<string, string> {
  const cache = spawnSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8', cwd: '/' }).stdout.trim();
  const network = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_(registry|cafile)|NODE_EXTRA_CA_CERTS|https?_proxy)$/i.test(name),
  );
  return { npm_config_cache: cache, ...Object.fromEntries(network) };
}
