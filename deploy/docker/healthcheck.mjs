// Exit 0 while the operator's door says that the gateway lives. `node healthcheck.mjs ready` asks whether it is ready.
const port = process.env.OPITIOS__ADMIN__PORT ?? '9464';
const question = process.argv[2] === 'ready' ? 'ready' : 'live';
const url = process.env.OPITIOS_HEALTH_URL ?? `http://127.0.0.1:${port}/health/${question}`;

try {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(2500) });
  await response.arrayBuffer();
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
