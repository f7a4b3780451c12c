import assert from "node:assert/strict";
import fc from "fast-check";
import { reachOf } from "./address.ts";

Deno.test("link-local, metadata, multicast and unspecified addresses are refused in every form that carries them", () => {
  const refused = [
    ..."169.254.0.1 169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 0.0.0.0 0.1.2.3".split(" "),
    ..."224.0.0.1 239.255.255.250 255.255.255.255 :: fe80::1 febf::1 fe80::1%eth0 ff02::1 fd00:ec2::254 fd20:ce::254"
      .split(" "),
    ..."::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::169.254.169.254 ::a9fe:a9fe ::ffff:0:169.254.169.254".split(" "),
    ..."64:ff9b::169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::169.254.169.254 64:ff9b:1:a9fe:a9:fe00::".split(" "),
    ..."2002:a9fe:a9fe:: 2002:a9fe:a9fe::1 2001:0:a9fe:a9fe:: 2a00::5efe:169.254.169.254 ::ffff:0.0.0.0 2002::".split(
      " ",
    ),
    ..."::ffff:100.100.100.200 64:ff9b::192.0.0.192 2002:e000:1:: not-an-address".split(" "),
    "",
  ];
  for (const address of refused) assert.equal(reachOf(address), "refused", address);
});

Deno.test("loopback, private and special ranges are internal, also where IPv6 carries them", () => {
  const internal = [
    ..."127.0.0.1 127.255.0.1 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 198.18.0.1 192.0.2.1 240.0.0.1 ::1 fd12::1"
      .split(" "),
    ..."::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b:1::10.0.0.1 64:ff9b::8.8.8.8 2002:808:808:: fec0::1 2001:db8::1".split(
      " ",
    ),
  ];
  for (const address of internal) assert.equal(reachOf(address), "internal", address);
});

Deno.test("the internet is public", () => {
  for (const address of ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"]) {
    assert.equal(reachOf(address), "public");
  }
});

Deno.test("every link-local address stays refused however a URL spells it", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  fc.assert(fc.property(octet, octet, fc.nat(5), (c, d, spelling) => {
    const number = ((169 * 256 + 254) * 256 + c) * 256 + d;
    const spellings = [
      `169.254.${c}.${d}`,
      String(number),
      `0x${number.toString(16)}`,
      `0251.0376.0${c.toString(8)}.0${d.toString(8)}`,
      `169.254.${c * 256 + d}`,
      `[::ffff:169.254.${c}.${d}]`,
    ];
    const { hostname } = new URL(`http://${spellings[spelling]}/`);
    assert.equal(reachOf(hostname.replace(/^\[(.*)\]$/, "$1")), "refused", hostname);
  }));
});
