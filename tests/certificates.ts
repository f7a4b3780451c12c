/** Certificates for one test file, made with the openssl command; Deno and Node cannot make any. */
import { join } from "node:path";

/** Whether the openssl command is there; tests that need certificates are ignored where it is not. */
export const OPENSSL: boolean = await new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" })
  .output().then(({ success }) => success, () => false);

/** Files and texts of one authority and what it has signed. Disposing of it removes the folder. */
export interface Certificates extends AsyncDisposable {
  /** PEM of the authority. */
  readonly ca: string;
  /** Path of the same. */
  readonly caFile: string;
  /** Paths for a server on 127.0.0.1 and localhost. */
  readonly server: { readonly cert: string; readonly key: string };
  /** Paths for a server called elsewhere.test. */
  readonly elsewhere: { readonly cert: string; readonly key: string };
  /** Paths for every server below example.test. */
  readonly wild: { readonly cert: string; readonly key: string };
  /** PEMs for a client. */
  readonly client: { readonly cert: string; readonly key: string };
}

/** Makes an authority, a server's certificate and a client's, good for two days. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await Deno.makeTempDir({ prefix: "xtask-certificates-" });
  const file = (name: string) => join(dir, name);
  await openssl(dir, ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key"]);
  // Two authorities of one name would be told apart by their signatures only.
  const subject = `/CN=authority ${crypto.randomUUID()}`;
  const selfSigned = ["req", "-x509", "-new", "-key", "ca.key", "-sha256", "-days", "2"];
  await openssl(dir, [...selfSigned, "-subj", subject, "-out", "ca.pem"]);
  await issue(dir, "server", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
  await issue(dir, "elsewhere", "subjectAltName=DNS:elsewhere.test\nextendedKeyUsage=serverAuth\n");
  await issue(dir, "wild", "subjectAltName=DNS:*.example.test\nextendedKeyUsage=serverAuth\n");
  await issue(dir, "client", "subjectAltName=DNS:client\nextendedKeyUsage=clientAuth\n");
  const read = (name: string) => Deno.readTextFile(file(name));
  return {
    ca: await read("ca.pem"),
    caFile: file("ca.pem"),
    server: { cert: file("server.pem"), key: file("server.key") },
    elsewhere: { cert: file("elsewhere.pem"), key: file("elsewhere.key") },
    wild: { cert: file("wild.pem"), key: file("wild.key") },
    client: { cert: await read("client.pem"), key: await read("client.key") },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

async function issue(dir: string, name: string, extensions: string): Promise<void> {
  await Deno.writeTextFile(join(dir, `${name}.ext`), extensions);
  await openssl(dir, ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`]);
  await openssl(dir, ["req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`]);
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-sha256", "-days", "2"];
  const files = ["-in", `${name}.csr`, "-extfile", `${name}.ext`, "-out", `${name}.pem`];
  await openssl(dir, ["x509", "-req", ...authority, ...files]);
}

async function openssl(cwd: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd, stdout: "null" }).output();
  if (!success) throw new Error(`openssl ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
}
