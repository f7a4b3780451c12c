/** Which addresses a download may go to: none that only the machine's own platform answers, such as a cloud's metadata. */
import ipaddr from "ipaddr.js";

/**
 * What lies behind an address: `public`, the internet; `internal`, loopback, private and other special ranges; `refused`,
 * link-local, metadata, multicast and unspecified addresses in any spelling, and whatever is no address.
 */
export type Reach = "public" | "internal" | "refused";

/** Refused, beside what {@linkcode REFUSED_RANGES} names. Each is an address at which a cloud gives out credentials. */
const REFUSED_NETS = [
  "100.100.100.200/32",
  "192.0.0.192/32",
  "168.63.129.16/32",
  "fd00:ec2::/32",
  "fd20:ce::254/128",
].map((net) => ipaddr.parseCIDR(net));

const REFUSED_RANGES: ReadonlySet<string> = new Set(["unspecified", "broadcast", "multicast", "linkLocal"]);

/** IPv6 prefixes that carry an IPv4 address, and at which bytes. An address under them reaches what the IPv4 address reaches. */
const CARRIERS: readonly { readonly net: ReturnType<typeof ipaddr.parseCIDR>; readonly at: readonly number[][] }[] = [
  // Mapped, translated, compatible.
  { net: ipaddr.parseCIDR("::ffff:0:0/96"), at: [[12, 13, 14, 15]] },
  { net: ipaddr.parseCIDR("::ffff:0:0:0/96"), at: [[12, 13, 14, 15]] },
  { net: ipaddr.parseCIDR("::/96"), at: [[12, 13, 14, 15]] },
  // NAT64: the well-known prefix, and the local one in each of the layouts of RFC 6052.
  { net: ipaddr.parseCIDR("64:ff9b::/96"), at: [[12, 13, 14, 15]] },
  {
    net: ipaddr.parseCIDR("64:ff9b:1::/48"),
    at: [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]],
  },
  // 6to4, and Teredo's server.
  { net: ipaddr.parseCIDR("2002::/16"), at: [[2, 3, 4, 5]] },
  { net: ipaddr.parseCIDR("2001::/32"), at: [[4, 5, 6, 7]] },
];

/**
 * What lies behind an IP address as text. IPv6 forms that carry an IPv4 address count as that address does, and never as public.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { reachOf } from "./address.ts";
 *
 * assert.equal(reachOf("8.8.8.8"), "public");
 * assert.equal(reachOf("10.0.0.1"), "internal");
 * assert.equal(reachOf("::ffff:169.254.169.254"), "refused");
 * ```
 */
export function reachOf(text: string): Reach {
  // A zone ("fe80::1%eth0") only makes sense for addresses that are refused anyway.
  if (text.includes("%") || !ipaddr.isValid(text)) return "refused";
  const address = ipaddr.parse(text);
  const range = address.range();
  if (REFUSED_RANGES.has(range) || REFUSED_NETS.some((net) => within(address, net))) return "refused";
  if (address.kind() === "ipv6" && range !== "loopback") {
    const bytes = address.toByteArray();
    for (const { net, at } of CARRIERS) {
      if (!within(address, net)) continue;
      const carried = at.map((places) => places.map((place) => bytes[place] ?? 0).join("."));
      // Of several layouts all but one read padding, which looks like 0.0.0.0.
      const read = carried.length > 1 ? carried.filter((each) => !each.startsWith("0.")) : carried;
      return read.some((each) => reachOf(each) === "refused") ? "refused" : "internal";
    }
    if (isIsatap(bytes) && reachOf(bytes.slice(12).join(".")) === "refused") return "refused";
  }
  return range === "unicast" ? "public" : "internal";
}

/** ISATAP puts an IPv4 address behind any prefix: `…:0:5efe:a.b.c.d`. */
function isIsatap(bytes: readonly number[]): boolean {
  return (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}

function within(address: ReturnType<typeof ipaddr.parse>, [net, bits]: ReturnType<typeof ipaddr.parseCIDR>): boolean {
  return address.kind() === net.kind() && address.match(net, bits);
}
