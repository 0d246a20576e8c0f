// The official TypeScript SDKs as hosts: `clients.mjs FOLDER SDK ERA URL` or `... -- COMMAND...`, one JSON object out.
// SDK is 1 or 2, ERA legacy or modern; FOLDER has their node_modules. A call that never ends is cancelled once a line
// comes in on stdin: the test sees the provider being asked first.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, sdk, era, url, ...command] = process.argv.slice(2);
const require = createRequire(`${folder}/here.js`);
const identity = { name: `typescript-sdk-${sdk}`, version: "1" };

function made() {
  if (sdk === "1") {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return [new Client(identity), StdioClientTransport, StreamableHTTPClientTransport];
  }
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const mode = era === "modern" ? { pin: "2026-07-28" } : "legacy";
  return [new Client(identity, { versionNegotiation: { mode } }), StdioClientTransport, StreamableHTTPClientTransport];
}

// 1.x wants a result schema, or undefined, before the options.
const call = (params, options) => (sdk === "1" ? client.callTool(params, undefined, options) : client.callTool(params, options));

const [client, Stdio, Http] = made();
const transport =
  url === "--" ? new Stdio({ command: command[0], args: command.slice(1), env: { ...process.env } }) : new Http(new URL(url));
await client.connect(transport);

const told = { version: client.getServerVersion()?.name };
told.tools = (await client.listTools()).tools.map((tool) => tool.name);

const progress = [];
const answer = await call(
  { name: "generate", arguments: { prompt: "hello there", model: "demo" } },
  { onprogress: (one) => progress.push(one.progress), resetTimeoutOnProgress: true },
);
told.response = answer.structuredContent.response;
told.text = answer.content[0].text;

const run = answer.structuredContent.run_id;
told.read = (await client.readResource({ uri: `runs://${run}` })).contents[0].text;
told.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
told.prompt = (await client.getPrompt({ name: "summarize", arguments: { text: "abc" } })).messages[0].content.text;
const ref = { type: "ref/resource", uri: "models://{name}" };
told.completed = (await client.complete({ ref, argument: { name: "name", value: "demo" } })).completion.values;

const asked = new AbortController();
const hanging = call({ name: "generate", arguments: { prompt: "hi", model: "silent:x" } }, { signal: asked.signal });
for await (const _ of createInterface({ input: process.stdin })) break;
asked.abort();
told.cancelled = await hanging.then(() => "answered", () => "cancelled");
told.after = (await call({ name: "generate", arguments: { prompt: "still there", model: "demo" } })).structuredContent.response;

await client.close();
process.stdout.write(`${JSON.stringify(told)}\n`);
process.exit(0);
