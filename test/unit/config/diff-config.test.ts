import { afterEach, expect, test } from '@jest/globals';
import { diffConfig } from '../../../src/kernel/config/diff-config.js';
import type { GatewayConfig } from '../../../src/kernel/config/gateway-config.js';
import { loadConfig } from '../../../src/kernel/config/load-config.js';
import { redactedConfig } from '../../../src/kernel/config/redacted-config.js';
import { aConfig, configDirectory, type ConfigDirectory } from '../../support/config-files.js';

let made: ConfigDirectory | undefined;

afterEach(async () => {
  await made?.remove();
  made = undefined;
});

async function loadTwice(before: string, after: string): Promise<readonly [GatewayConfig, GatewayConfig]> {
  made = await configDirectory(before);
  const first = await loadConfig(made.file, {});
  await made.write('opitios.yaml', after);
  return [first, await loadConfig(made.file, {})];
}

test('a reload names what changed, what needs a restart and which accounts came, went or got new keys', async () => {
  const yaml = aConfig({ accounts: 3 });
  const rotated = yaml
    .replace(/("account_001", api_key: ")K[0-9a-f]+/, '$1CANARY-new')
    .replace('account_003', 'account_004');

  const diff = diffConfig(...(await loadTwice(yaml, `${rotated}log: { level: debug }\nserver: { port: 9999 }\n`)));

  expect(diff).toEqual({
    changed: ['log.level', 'server.port'],
    needRestart: ['server.port'],
    accountsAdded: ['account_004'],
    accountsRemoved: ['account_003'],
    accountsRotated: ['account_001'],
  });
  expect(JSON.stringify(diff)).not.toContain('CANARY');
});

test('two readings of one file do not differ', async () => {
  const yaml = aConfig({ accounts: 2 });

  const diff = diffConfig(...(await loadTwice(yaml, yaml)));

  expect(Object.values(diff).flat()).toEqual([]);
});

test('a shown configuration holds no secret', async () => {
  const secret = `CANARY-${'x'.repeat(40)}`;
  const more =
    'cluster: { redis: { url: "redis://user:CANARY-redis@127.0.0.1:6379" } }\n' +
    'telemetry: { webhooks: [{ url: "https://hooks.example/CANARY-hook" }] }';
  const yaml = aConfig({ secret, more }).replace(/"K[0-9a-f]+"/g, '"CANARY-key"');
  const [config] = await loadTwice(yaml, yaml);

  const shown = JSON.stringify(redactedConfig(config));

  expect(JSON.stringify(config)).toContain('CANARY-key');
  expect(shown).not.toContain('CANARY');
  expect(shown).toContain('[plain text]');
});
