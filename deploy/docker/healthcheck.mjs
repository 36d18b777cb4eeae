// Exit 0 while the operator's door says that the gateway lives. `node healthcheck.mjs ready` asks whether it is ready.
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';

const port = process.env.OPITIOS__ADMIN__PORT ?? '9464';
const question = process.argv[2] === 'ready' ? 'ready' : 'live';
// Off loopback the operator's door speaks HTTPS.
const scheme = /^(127\.|localhost$|::1$)/.test(process.env.OPITIOS__ADMIN__HOST ?? '127.0.0.1') ? 'http' : 'https';
const url = process.env.OPITIOS_HEALTH_URL ?? `${scheme}://127.0.0.1:${port}/health/${question}`;
// No secret is sent, and the certificate is for the name that others know this gateway by.
const options = { timeout: 2500, rejectUnauthorized: false };

const fail = (why) => {
  console.error(why);
  process.exit(1);
};
(url.startsWith('https:') ? secure : plain)(url, options, (response) => {
  response.resume();
  if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
  response.on('end', () => process.exit(0));
})
  .on('timeout', () => fail('no answer in time'))
  .on('error', (error) => fail(error.message))
  .end();
