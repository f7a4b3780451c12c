/** A part of the real thing that a test looks into, or holds up. */

/** The same but for one of its members. */
export function replaced<T extends object, K extends keyof T>(whole: T, name: K, by: T[K]): T {
  return new Proxy(whole, {
    get(target, key) {
      if (key === name) return by;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
