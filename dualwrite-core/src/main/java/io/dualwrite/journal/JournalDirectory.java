package io.dualwrite.journal;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The directory of a journal and its owner's lock.
 *
 * <pre>
 * journal.lock         locked by the process that owns the journal
 * journal.owner        names that process
 * journal.properties   format and identity
 * journal.state        whatever changes: {@link StateFile}
 * runs/00000001/       the queue that one process wrote; see {@link QueueWriter}
 * </pre>
 */
final class JournalDirectory implements AutoCloseable {

  static final int FORMAT = 1;
  private static final String LOCK = "journal.lock";
  private static final String PROPERTIES = "journal.properties";

  private static final String OWNER = "journal.owner";

  /**
   * The directories that this process owns. On POSIX systems a process that closes <em>any</em> of
   * its handles of a file gives back its lock on it: so nobody here may touch the lock file again.
   */
  private static final Set<Path> OWNED = ConcurrentHashMap.newKeySet();

  /** Handles that must never be closed, for the same reason: see {@link #lock}. */
  private static final Queue<FileChannel> NEVER_CLOSED = new ConcurrentLinkedQueue<>();

  private static final int LOCK_ATTEMPTS = 10;

  private static final boolean WINDOWS = System.getProperty("os.name").startsWith("Windows");

  private static final Set<String> NETWORK =
      Set.of(
          "nfs",
          "nfs4",
          "cifs",
          "smb",
          "smb2",
          "smb3",
          "smbfs",
          "afs",
          "ceph",
          "fuse.ceph",
          "fuse.glusterfs",
          "fuse.sshfs",
          "lustre");

  final Path path;
  private Path real;
  private FileChannel lockChannel;

  UUID writer;
  String created;

  private JournalDirectory(Path path) {
    this.path = path;
  }

  /** Creates the directory if need be and takes its lock. */
  static JournalDirectory own(Path path) {
    JournalDirectory d = new JournalDirectory(path);
    try {
      create(path);
      String type = Files.getFileStore(path).type();
      if (NETWORK.contains(type)) {
        throw new JournalException(
            "The journal directory "
                + path
                + " is on a network file system ("
                + type
                + "), where neither its lock nor its memory-mapped files can be relied on: choose a"
                + " directory on a local disk.");
      }
      boolean known = Files.exists(path.resolve(PROPERTIES));
      if (!known) {
        d.refuseForeign();
      }
      d.lock();
      if (known) {
        d.load();
      }
      return d;
    } catch (IOException e) {
      d.close();
      throw new JournalException(
          "The journal directory "
              + path
              + " cannot be written ("
              + reason(e)
              + "): give the application a local directory that it may write to.",
          e);
    } catch (RuntimeException e) {
      d.close();
      throw e;
    }
  }

  /** Creates the directory: what is in it are rows, which are nobody else's business. */
  private static void create(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      return;
    }
    if (path.getParent() != null) {
      Files.createDirectories(path.getParent());
    }
    if (path.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      Files.createDirectory(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } else {
      Files.createDirectory(path);
    }
  }

  /**
   * Files that root, say, creates in the application's directory are such that the application
   * cannot write.
   *
   * @throws JournalException if the directory belongs to somebody else than who this process is
   */
  void refuseOther() {
    try {
      String owner = Files.getOwner(path).getName();
      String user = System.getProperty("user.name");
      if (!owner.equals(user)
          && path.getFileSystem()
              .getUserPrincipalLookupService()
              .lookupPrincipalByName(user)
              .getName()
              .equals(user)) {
        throw new JournalException(
            "The journal directory "
                + path
                + " belongs to "
                + owner
                + ", who could not write what "
                + user
                + " creates there: run this command as "
                + owner
                + ".");
      }
    } catch (IOException | UnsupportedOperationException e) {
      // there are no such things as owners here, or this process's has no name
    }
  }

  /** Opens the directory for reading, whether it is in use or not. */
  static JournalDirectory view(Path path) {
    JournalDirectory d = new JournalDirectory(path);
    try {
      d.load();
    } catch (NoSuchFileException e) {
      try {
        if (Files.exists(d.state()) || !d.runDirectories().isEmpty()) {
          return d; // it lost its identity, and what is in it may matter all the more
        }
      } catch (IOException unreadable) {
        e.addSuppressed(unreadable);
      }
      throw new JournalException(
          path + " is not a journal: it has no " + PROPERTIES + "; check the path.", e);
    } catch (IOException e) {
      throw new JournalException(
          "The journal directory " + path + " cannot be read (" + reason(e) + ").", e);
    }
    return d;
  }

  /** Whether the journal has been created: it has its identity. */
  boolean known() {
    return writer != null;
  }

  /** Who has the lock, or null if nobody has. */
  String usedBy() {
    try {
      if (OWNED.contains(path.toRealPath())) {
        return owner();
      }
      // shared: who may only read can ask too, and several may ask at once
      try (FileChannel c = FileChannel.open(path.resolve(LOCK), StandardOpenOption.READ)) {
        FileLock l = c.tryLock(0, Long.MAX_VALUE, true);
        if (l != null) {
          l.release();
          return null;
        }
      }
      return owner();
    } catch (NoSuchFileException e) {
      return null;
    } catch (OverlappingFileLockException | IOException e) {
      return owner(); // it may not be touched from here; what the owner said is all there is
    }
  }

  private void lock() throws IOException {
    Path directory = path.toRealPath();
    if (!OWNED.add(directory)) {
      throw inUse();
    }
    real = directory;
    FileChannel c =
        FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      // A tool that looks whether the journal is in use has the lock for a moment.
      for (int attempt = 1; c.tryLock() == null; attempt++) {
        if (attempt == LOCK_ATTEMPTS) {
          c.close();
          throw inUse();
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    } catch (OverlappingFileLockException e) {
      // dualwrite, loaded twice in this process: closing this handle would give back its lock
      NEVER_CLOSED.add(c);
      throw inUse();
    }
    lockChannel = c;
    try {
      Files.writeString(
          path.resolve(OWNER),
          "pid "
              + ProcessHandle.current().pid()
              + " since "
              + Instant.now().truncatedTo(ChronoUnit.SECONDS)
              + host()
              + program()
              + "\n");
    } catch (IOException e) {
      // The disk may be full: then who is refused is not told by whom. If it is read-only, the next
      // write says so.
    }
  }

  /** In containers every process is number 1: then this tells which. */
  private static String host() {
    try {
      String s = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
      return s.isEmpty() ? "" : " on " + s;
    } catch (IOException e) {
      return ""; // not Linux
    }
  }

  /** The main class or jar; never its arguments, which may hold passwords. */
  private static String program() {
    String s = System.getProperty("sun.java.command", "").strip().split("\\s", 2)[0];
    return s.isEmpty() ? "" : " (" + s.substring(s.lastIndexOf('/') + 1) + ")";
  }

  private JournalException inUse() {
    return new JournalException(
        "The journal directory "
            + path
            + " is in use by "
            + owner()
            + ": stop that process, or give this one a directory of its own.");
  }

  private String owner() {
    try {
      String s = Files.readString(path.resolve(OWNER)).strip();
      return s.isEmpty() ? "another process" : s;
    } catch (IOException e) {
      return "another process";
    }
  }

  private void refuseForeign() throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(path)) {
      for (Path f : files) {
        String n = f.getFileName().toString();
        // what a start that was cut off may have left, and what a fresh file system has
        if (!Set.of(
                LOCK,
                OWNER,
                PROPERTIES + ".new",
                "journal.state",
                "journal.state.new",
                "runs",
                "lost+found")
            .contains(n)) {
          throw new JournalException(
              "The directory "
                  + path
                  + " holds other files ("
                  + n
                  + ") and no journal: give the journal an empty directory of its own.");
        }
      }
    }
  }

  private void load() throws IOException {
    Properties p = new Properties();
    try (InputStream in = Files.newInputStream(path.resolve(PROPERTIES))) {
      p.load(in);
    } catch (IllegalArgumentException e) {
      throw foreign("damaged", e);
    }
    int format;
    try {
      format = Integer.parseInt(p.getProperty("format", "0"));
      writer = UUID.fromString(p.getProperty("writer", ""));
    } catch (IllegalArgumentException e) {
      throw foreign("damaged", e);
    }
    if (format > FORMAT) {
      throw new JournalException(
          "The journal in "
              + path
              + " has format "
              + format
              + ", newer than this version of dualwrite reads ("
              + FORMAT
              + "): use the version that wrote it, or a later one.");
    }
    if (format < 1) {
      throw foreign("of an unknown format", null);
    }
    created = p.getProperty("created", "");
  }

  private JournalException foreign(String what, Throwable cause) {
    return new JournalException(
        "The file "
            + path.resolve(PROPERTIES)
            + " is "
            + what
            + ": it was not written by dualwrite, or was changed since; restore it, or move the"
            + " directory away and reconcile all tables.",
        cause);
  }

  /** Writes the identity; durable on return. */
  void save() throws IOException {
    Properties p = new Properties();
    p.setProperty("format", Integer.toString(FORMAT));
    p.setProperty("writer", writer.toString());
    p.setProperty("created", created);
    Path fresh = path.resolve(PROPERTIES + ".new");
    try (OutputStream out = Files.newOutputStream(fresh)) {
      p.store(out, "dualwrite journal: do not edit, do not copy while in use");
    }
    forceFile(fresh);
    Files.move(
        fresh,
        path.resolve(PROPERTIES),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    forceDirectory(path);
  }

  Path state() {
    return path.resolve("journal.state");
  }

  Path runs() {
    return path.resolve("runs");
  }

  /** The directories of all runs, oldest first. */
  List<Path> runDirectories() throws IOException {
    return list(runs(), "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]");
  }

  /** The files of a run, oldest first. */
  static List<Path> segments(Path run) throws IOException {
    return list(run, "*.cq4");
  }

  private static List<Path> list(Path directory, String glob) throws IOException {
    List<Path> list = new ArrayList<>();
    if (Files.isDirectory(directory)) {
      try (DirectoryStream<Path> found = Files.newDirectoryStream(directory, glob)) {
        for (Path f : found) {
          list.add(f);
        }
      } catch (NoSuchFileException e) {
        return List.of(); // its owner gave it back just now
      }
    }
    list.sort(null);
    return list;
  }

  /** This machine's present boot, or empty if it cannot be told. */
  static String currentBoot() {
    try {
      return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
    } catch (IOException e) {
      return ""; // not Linux: every unclean start counts as a machine's crash then
    }
  }

  /**
   * Where the directory is: the inode of the lock file, and the machine if that is known, because
   * on a file system that is as new a copy's inode may well be the same. Empty if the file system
   * has none.
   */
  String currentPlace(String machine) {
    try {
      String inode = Files.getAttribute(path.resolve(LOCK), "unix:ino").toString();
      return machine.isEmpty() ? inode : inode + "@" + machine;
    } catch (IOException | IllegalArgumentException | UnsupportedOperationException e) {
      return ""; // copies cannot be told from the original here
    }
  }

  /** Whether two places differ in what is known of both. */
  static boolean moved(String before, String now) {
    if (before.isEmpty() || now.isEmpty()) {
      return false;
    }
    String[] a = before.split("@", 2);
    String[] b = now.split("@", 2);
    return !a[0].equals(b[0]) || (a.length == 2 && b.length == 2 && !a[1].equals(b[1]));
  }

  /** This machine's identity, or empty if it has none, as in most containers. */
  static String currentMachine() {
    try {
      String s = Files.readString(Path.of("/etc/machine-id")).strip();
      return s.length() == 32 ? s : "";
    } catch (IOException e) {
      return "";
    }
  }

  private static void forceFile(Path file) throws IOException {
    Uninterrupted.run(
        () -> {
          try (FileChannel c = FileChannel.open(file, StandardOpenOption.WRITE)) {
            c.force(true);
          }
        });
  }

  /** Makes names in the directory durable, where the platform can. */
  static void forceDirectory(Path directory) throws IOException {
    if (WINDOWS) {
      return; // a directory cannot be opened there; its entries are journaled
    }
    Uninterrupted.run(
        () -> {
          try (FileChannel c = FileChannel.open(directory, StandardOpenOption.READ)) {
            c.force(true);
          }
        });
  }

  /** Deletes a run with all of the queue that is left in it; what others put there stays. */
  static void deleteRun(Path run) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(run, "*.{cq4,cq4t}")) {
      for (Path f : files) {
        Files.deleteIfExists(f);
      }
    }
    try {
      Files.deleteIfExists(run);
    } catch (DirectoryNotEmptyException e) {
      // a run without files means nothing
    }
  }

  static String reason(IOException e) {
    if (e instanceof FileSystemException f && f.getReason() != null) {
      return f.getReason();
    }
    return e.getClass().getSimpleName() + (e.getMessage() == null ? "" : ": " + e.getMessage());
  }

  /** Gives the lock back. */
  @Override
  public void close() {
    if (lockChannel != null) {
      try {
        lockChannel.close();
      } catch (IOException e) {
        // the process's end gives it back
      }
      lockChannel = null;
    }
    if (real != null) {
      OWNED.remove(real);
      real = null;
    }
  }
}
