import type { FakeBucket } from './fake-s3-bucket.ts';
import { refuse, tag, xml, type S3Reply } from './fake-s3-messages.ts';

export function versioningAnswer(bucket: FakeBucket): S3Reply {
  const { versioning = 'on' } = bucket.options;
  const status = versioning === 'off' ? '' : tag('Status', versioning === 'on' ? 'Enabled' : 'Suspended');
  return { status: 200, body: xml('VersioningConfiguration', status) };
}

export function lockConfigurationAnswer(bucket: FakeBucket): S3Reply {
  const { lock } = bucket.options;
  if (lock === undefined) throw refuse(404, 'ObjectLockConfigurationNotFoundError');
  const { byDefault } = lock;
  const rule =
    byDefault === undefined
      ? ''
      : `<Rule><DefaultRetention>${tag('Mode', byDefault.mode)}${tag('Days', byDefault.days)}</DefaultRetention></Rule>`;
  return { status: 200, body: xml('ObjectLockConfiguration', tag('ObjectLockEnabled', 'Enabled') + rule) };
}

export function lifecycleAnswer(bucket: FakeBucket): S3Reply {
  const { lifecycle } = bucket.options;
  if (lifecycle === undefined) throw refuse(404, 'NoSuchLifecycleConfiguration');
  return { status: 200, body: xml('LifecycleConfiguration', lifecycle) };
}
