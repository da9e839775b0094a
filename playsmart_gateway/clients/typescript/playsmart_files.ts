/**
 * Files in a folder, for the client in node: servers, bots, games of the desktop. Pages need it not.
 *
 * Node has no locks of files. So whoever finds a file of another run renames it, to the same number
 * with one digit more, before reading it; and whoever writes looks after each line whether the file is
 * still there under its name. If it is not, the line goes to a new file, too: better twice than never.
 */

import * as fs from "node:fs";
import { join } from "node:path";
import type { Appender, Store } from "./playsmart_client.js";

/** Keeps files in `folder`, which only its owner can read; it is made when something is kept. */
export class FileStore implements Store {
  readonly maxBytes = Infinity;

  constructor(private readonly folder: string) {}

  sizes(folder: string): Map<string, number> {
    const sizes = new Map<string, number>();
    const there = join(this.folder, folder);
    if (!fs.existsSync(there)) return sizes;
    for (const each of fs.readdirSync(there, { withFileTypes: true })) {
      const size = each.isFile() ? fs.statSync(join(there, each.name), { throwIfNoEntry: false })?.size : undefined;
      if (size !== undefined) sizes.set(each.name, size);
    }
    return sizes;
  }

  read(name: string): string | null {
    try {
      return fs.readFileSync(join(this.folder, name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  write(name: string, text: string): void {
    fs.closeSync(this.create(name, text));
  }

  begin(name: string, text: string): Appender {
    const file = this.create(name, text);
    const path = join(this.folder, name);
    const { ino } = fs.fstatSync(file);
    return {
      append: (line) => {
        writeAll(file, line);
        if (fs.statSync(path, { throwIfNoEntry: false })?.ino !== ino) throw new Error("the file was taken");
      },
      close: () => {
        const isThere = fs.fstatSync(file).nlink > 0;
        fs.closeSync(file);
        return isThere;
      },
    };
  }

  remove(name: string): void {
    fs.rmSync(join(this.folder, name), { force: true });
  }

  hold(): void {
    // see claim
  }

  async claim(name: string): Promise<string | null> {
    const taken = name.replace(/-(\d{8}\.)/, "-0$1");
    try {
      if (taken !== name) fs.renameSync(join(this.folder, name), join(this.folder, taken));
      return taken;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  private create(name: string, text: string): number {
    const path = join(this.folder, name);
    fs.mkdirSync(join(path, ".."), { mode: 0o700, recursive: true });
    const begun = path + ".tmp";
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NONBLOCK = 0 } = fs.constants; // it may be a pipe
    const file = fs.openSync(begun, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK, 0o600);
    try {
      writeAll(file, text);
      fs.renameSync(begun, path);
      return file;
    } catch (error) {
      fs.closeSync(file);
      fs.rmSync(begun, { force: true });
      throw error;
    }
  }
}

function writeAll(file: number, text: string): void {
  const content = Buffer.from(text);
  if (fs.writeSync(file, content) !== content.length) throw new Error("the disk is full");
}
