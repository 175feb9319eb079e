// Reads the members of one JSON object (RFC 8259) in place: AssemblyScript's library has no JSON.

// Deeper nesting is refused: the stack of a filter is small.
const DEPTH_MAX = 64;

const QUOTE: i32 = 0x22;
const COMMA: i32 = 0x2c;
const COLON: i32 = 0x3a;
const BACKSLASH: i32 = 0x5c;

export class Member {
  /** The name, its escapes resolved. */
  name: string = "";
  /** Where its value begins, and where it has ended. */
  start: i32 = 0;
  end: i32 = 0;
}

/** The members of an object in their order, or null where the text is none. */
export function members(text: string): Member[] | null {
  const reader = new Reader(text);
  const found = new Array<Member>();
  if (!reader.take(0x7b)) return null;
  if (!reader.take(0x7d)) {
    do {
      const member = new Member();
      reader.space();
      const start = reader.at;
      if (!reader.string()) return null;
      member.name = unescaped(text.substring(start + 1, reader.at - 1));
      if (!reader.take(COLON)) return null;
      reader.space();
      member.start = reader.at;
      if (!reader.value(0)) return null;
      member.end = reader.at;
      found.push(member);
    } while (reader.take(COMMA));
    if (!reader.take(0x7d)) return null;
  }
  reader.space();
  return reader.at == text.length ? found : null;
}

/** What a string means, given what stands between its quotes. */
export function unescaped(written: string): string {
  if (!written.includes("\\")) return written;
  let out = "";
  for (let i = 0; i < written.length; i++) {
    const unit = written.charCodeAt(i);
    if (unit != BACKSLASH) {
      out += String.fromCharCode(unit);
      continue;
    }
    const escape = written.charAt(++i);
    if (escape == "u") {
      out += String.fromCharCode(<i32>parseInt(written.substr(i + 1, 4), 16));
      i += 4;
    } else {
      const kind = "nrtbf".indexOf(escape);
      out += kind < 0 ? escape : "\n\r\t\b\f".charAt(kind);
    }
  }
  return out;
}

class Reader {
  at: i32 = 0;

  constructor(private text: string) {}

  peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  space(): void {
    let unit = this.peek();
    while (unit == 0x20 || unit == 0x09 || unit == 0x0d || unit == 0x0a) {
      this.at++;
      unit = this.peek();
    }
  }

  take(unit: i32): bool {
    this.space();
    if (this.peek() != unit) return false;
    this.at++;
    return true;
  }

  string(): bool {
    if (!this.take(QUOTE)) return false;
    while (this.at < this.text.length) {
      const unit = this.peek();
      if (unit < 0x20) return false;
      this.at += unit == BACKSLASH ? 2 : 1;
      if (unit == QUOTE) return true;
    }
    return false;
  }

  word(word: string): bool {
    if (!this.text.substr(this.at, word.length).startsWith(word)) return false;
    this.at += word.length;
    return true;
  }

  number(): bool {
    const start = this.at;
    while (this.at < this.text.length && "+-.0123456789eE".includes(this.text.charAt(this.at))) this.at++;
    return this.at > start;
  }

  value(depth: i32): bool {
    this.space();
    if (depth > DEPTH_MAX) return false;
    const open = this.peek();
    if (open == QUOTE) return this.string();
    if (open != 0x7b && open != 0x5b) {
      return this.word("true") || this.word("false") || this.word("null") || this.number();
    }
    // `}` and `]` lie two behind `{` and `[`.
    this.at++;
    if (this.take(open + 2)) return true;
    do {
      if (open == 0x7b && !(this.string() && this.take(COLON))) return false;
      if (!this.value(depth + 1)) return false;
    } while (this.take(COMMA));
    return this.take(open + 2);
  }
}
