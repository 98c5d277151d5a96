// What networks cost on a chip, from JavaScript: one network, many, and what is wrong with one.
//
//   npm ci
//   node client.mjs [ADDRESS [PROTOS]]
//
// PROTOS is the folder that holds imcnas/v1; an installed imcnas tells its own by `imcnas protos`.

import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const [address = "127.0.0.1:50051", protos = here("../../protos")] = process.argv.slice(2);
const TIMEOUT_MS = 30_000;

const oracle = connect();
const statuses = protoLoader.loadSync(here("google_rpc.proto"), {
  keepCase: true,
  longs: Number,
  json: true, // unpacks google.protobuf.Any
});

try {
  await show();
} catch (error) {
  if (!("code" in error)) throw error; // no answer of gRPC's, but our own mistake
  const { retryDelay } = read(error);
  const retry = retryDelay ? `; try again in ${retryDelay.seconds} s` : "";
  console.error(`${grpc.status[error.code]} from ${address}: ${error.details}${retry}`);
  process.exitCode = 1;
} finally {
  oracle.close();
}

async function show() {
  const { info, max_networks } = await call("GetServerInfo", {});
  console.log(`imcnas ${info.version}, chips ${info.presets.join(" ")}`);

  const { report } = await call("Evaluate", { network: network(16), preset: "mnsim2_default" });
  for (const total of ["latency_ns", "energy_nj", "area_um2", "power_w"]) {
    console.log(`${total} ${report[total]}`);
  }
  report.layers.forEach(({ kind, tiles, energy_nj }, index) => {
    console.log(`layer ${index}: ${kind}, ${tiles} tiles, ${energy_nj.toFixed(1)} nJ`);
  });

  console.log(`a batch, of at most ${max_networks}`);
  const networks = [8, 32, 0].map(network);
  const batch = { networks, preset: "mnsim2_default", detail: "DETAIL_TOTALS" };
  for (const { result, report, error } of (await call("BatchEvaluate", batch)).results) {
    console.log(result === "report" ? `  ${report.latency_ns} ns` : `  ${error.reason}: ${error.message}`);
  }

  try {
    await call("Evaluate", { network: network(0), preset: "mnsim2_default" });
  } catch (error) {
    const { reason, fields } = read(error);
    console.log(`alone, it is refused as ${grpc.status[error.code]}, reason ${reason}`);
    for (const { field, description } of fields) console.log(`  ${field}: ${description}`);
  }
}

// Two convolutions of so many channels and a classifier, for images of 3 x 8 x 8.
function network(channels) {
  const conv = { out_channels: channels, kernel_size: 3, padding: 1 };
  return {
    input_shape: { channels: 3, height: 8, width: 8 },
    layers: [
      { conv2d: { inputs: [-1], ...conv } },
      { conv2d: { inputs: [0], ...conv } },
      { linear: { inputs: [1], out_features: 10 } },
    ],
  };
}

function connect() {
  const definition = protoLoader.loadSync("imcnas/v1/hw_oracle.proto", {
    includeDirs: [protos],
    keepCase: true, // names as in the protos
    longs: Number, // every count of a report is far below 2**53
    enums: String,
    defaults: true,
    oneofs: true, // of a oneof, the name of the field that is set
  });
  const { HwOracleService } = grpc.loadPackageDefinition(definition).imcnas.v1;
  const options = { "grpc.max_receive_message_length": 16 * 2 ** 20 }; // a full batch is over the default
  return new HwOracleService(address, grpc.credentials.createInsecure(), options);
}

function call(method, request) {
  const send = promisify(oracle[method]).bind(oracle);
  return send(request, { deadline: Date.now() + TIMEOUT_MS });
}

// Reads the google.rpc.Status of an error: its reason, the fields at fault, when to try again.
function read(error) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (!bytes) return { fields: [] }; // gRPC's own, such as UNAVAILABLE: the service did not get to answer
  const { details } = statuses["google.rpc.Status"].deserialize(bytes);
  const detail = (name) => details.find((d) => d["@type"]?.endsWith(`/google.rpc.${name}`));
  return {
    reason: detail("ErrorInfo")?.reason,
    fields: detail("BadRequest")?.field_violations ?? [],
    retryDelay: detail("RetryInfo")?.retry_delay,
  };
}
