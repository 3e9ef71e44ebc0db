package io.dualwrite.embedded;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * A TCP proxy on a free port of localhost that breaks connections on command: cut, refused,
 * stalled, delayed, swallowed, or cut after so many bytes.
 *
 * <p>Thread-safe. A change holds for every byte that is sent after the call returned, on the
 * connections that there are and on those that come; what was sent before may be under way. Bytes
 * are never reordered or altered: what is stalled is kept and arrives later, what is swallowed
 * never arrives.
 */
public final class TcpProxy implements AutoCloseable {

  /** Which way bytes go. */
  public enum Direction {
    /** From the client to the server. */
    TO_SERVER,
    /** From the server to the client. */
    TO_CLIENT
  }

  /** How many bytes a direction keeps until it stops reading: then the sender feels it. */
  private static final int MAX_KEPT = 1 << 20;

  private static final int CONNECT_TIMEOUT_MILLIS = 10_000;

  /** What is done when a text first comes by, to the connection that it came by on. */
  private record Trigger(Direction direction, String text, Consumer<Link> action) {}

  /** What is done to the bytes of a direction; guarded by lock. */
  private static final class Trouble {
    boolean stalled;
    boolean swallowed;
    long delayNanos;

    /** After how many bytes a connection is cut; negative: none is. */
    long cutAfter = -1;

    boolean any() {
      return stalled || swallowed || delayNanos > 0 || cutAfter >= 0;
    }

    void end() {
      stalled = false;
      swallowed = false;
      delayNanos = 0;
    }
  }

  private final String host;
  private final int port;
  private final ServerSocket listening;
  private final Thread acceptor;

  private final ReentrantLock lock = new ReentrantLock();
  // all guarded by lock
  private final Set<Link> links = new HashSet<>();
  private final List<Trigger> triggers = new ArrayList<>();
  private final Trouble toServer = new Trouble();
  private final Trouble toClient = new Trouble();
  private boolean refusing;
  private boolean closed;
  private long accepted;
  private long requests;

  /**
   * Starts to listen.
   *
   * @param host the server's host, looked up for every connection
   * @param port the server's port
   * @throws UncheckedIOException if no port is free
   */
  public TcpProxy(String host, int port) {
    this.host = host;
    this.port = port;
    try {
      listening = new ServerSocket(0, 200, InetAddress.getLoopbackAddress());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    acceptor = start("accept", this::accept);
  }

  private Trouble trouble(Direction direction) {
    return direction == Direction.TO_SERVER ? toServer : toClient;
  }

  private Thread start(String what, Runnable task) {
    Thread t = new Thread(task, "tcp-proxy-" + listening.getLocalPort() + "-" + what);
    t.setDaemon(true);
    t.start();
    return t;
  }

  /** The port on localhost that clients connect to. */
  public int port() {
    return listening.getLocalPort();
  }

  /** Ends every connection with RST on both sides; new ones are accepted. */
  public void cut() {
    List<Link> all;
    lock.lock();
    try {
      all = List.copyOf(links);
    } finally {
      lock.unlock();
    }
    all.forEach(Link::cut);
  }

  /** From now on new connections are ended with RST as soon as they are made; others stay. */
  public void refuse() {
    change(() -> refusing = true);
  }

  /** From now on nothing arrives on either side; it is kept until {@link #resume()}. */
  public void stall() {
    stall(Direction.TO_SERVER);
    stall(Direction.TO_CLIENT);
  }

  /** {@link #stall()} of one direction. */
  public void stall(Direction direction) {
    change(() -> trouble(direction).stalled = true);
  }

  /**
   * From now on bytes arrive that much later.
   *
   * @param direction which way
   * @param by how much later each byte arrives; the throughput is not limited otherwise
   */
  public void delay(Direction direction, Duration by) {
    change(() -> trouble(direction).delayNanos = by.toNanos());
  }

  /**
   * From now on connections are accepted and nothing arrives, ever: one that lost bytes so is of no
   * use after {@link #resume()}.
   */
  public void blackhole() {
    change(
        () -> {
          toServer.swallowed = true;
          toClient.swallowed = true;
        });
  }

  /** Undoes {@link #refuse}, {@link #stall()}, {@link #delay} and {@link #blackhole}. */
  public void resume() {
    change(
        () -> {
          refusing = false;
          toServer.end();
          toClient.end();
        });
  }

  /**
   * Ends one connection, once: the one on which the given number of bytes is reached, counted over
   * all connections from now on. The bytes up to there arrive, followed by the end of the stream;
   * their sender gets RST.
   *
   * @param direction which way
   * @param bytes how many; 0: the connection with the next byte ends before it
   */
  public void cutAfterBytes(Direction direction, long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes is " + bytes + "; it must not be negative");
    }
    change(() -> trouble(direction).cutAfter = bytes);
  }

  /**
   * Runs an action, once, when a text first comes by on any connection, before its last byte is
   * sent on; what the action does to the proxy ({@link #cut()}, {@link #stall()}, …) holds for that
   * byte already.
   *
   * @param direction which way
   * @param text ISO 8859-1
   * @param action run by the thread that reads the connection
   */
  public void onFirst(Direction direction, String text, Runnable action) {
    change(() -> triggers.add(new Trigger(direction, text, link -> action.run())));
  }

  /**
   * Lets a request outlive its client, once: when a text first comes by on its way to the server,
   * that connection's client gets RST at once, and what it had sent by then arrives that much
   * later, followed by the end of the stream. Other connections are left alone.
   *
   * @param text ISO 8859-1
   * @param by how much later it arrives
   */
  public void outlive(String text, Duration by) {
    change(
        () ->
            triggers.add(
                new Trigger(Direction.TO_SERVER, text, link -> link.outlive(by.toNanos()))));
  }

  /**
   * Forgets what {@link #cutAfterBytes}, {@link #onFirst} and {@link #outlive} said and has not
   * come to pass.
   */
  public void disarm() {
    change(
        () -> {
          toServer.cutAfter = -1;
          toClient.cutAfter = -1;
          triggers.clear();
        });
  }

  /** How many connections are open. */
  public int connections() {
    lock.lock();
    try {
      return links.size();
    } finally {
      lock.unlock();
    }
  }

  /** How many connections clients ever made, refused ones included. */
  public long accepted() {
    lock.lock();
    try {
      return accepted;
    } finally {
      lock.unlock();
    }
  }

  /**
   * How often a client spoke: bytes to the server, the first ones of a connection or the first ones
   * since it answered. With a protocol of questions and answers, the round trips.
   */
  public long requests() {
    lock.lock();
    try {
      return requests;
    } finally {
      lock.unlock();
    }
  }

  private void change(Runnable change) {
    lock.lock();
    try {
      change.run();
      links.forEach(l -> l.changed.signalAll());
    } finally {
      lock.unlock();
    }
  }

  /** Cuts every connection and stops listening. */
  @Override
  public void close() {
    change(() -> closed = true);
    close(listening);
    cut();
    try {
      // the kernel goes on listening until the thread has come back from its call
      acceptor.join(5000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void accept() {
    while (true) {
      Socket client;
      try {
        client = listening.accept();
      } catch (IOException e) {
        return; // closed
      }
      boolean refused;
      lock.lock();
      try {
        accepted++;
        refused = refusing || closed;
      } finally {
        lock.unlock();
      }
      if (refused) {
        reset(client);
      } else {
        // the server may be slow to answer: other clients must not wait for that
        start("connect", () -> connect(client));
      }
    }
  }

  private void connect(Socket client) {
    Socket server = new Socket();
    try {
      client.setTcpNoDelay(true);
      server.setTcpNoDelay(true);
      server.connect(new InetSocketAddress(host, port), CONNECT_TIMEOUT_MILLIS);
    } catch (IOException e) {
      reset(client); // as where no server is
      reset(server);
      return;
    }
    Link link = new Link(client, server);
    boolean refused;
    lock.lock();
    try {
      refused = refusing || closed;
      if (!refused) {
        links.add(link);
      }
    } finally {
      lock.unlock();
    }
    if (refused) {
      link.cut();
      return;
    }
    link.begin();
  }

  private static void reset(Socket socket) {
    try {
      socket.setSoLinger(true, 0);
    } catch (IOException e) {
      // it is closed already
    }
    close(socket);
  }

  private static void close(AutoCloseable c) {
    try {
      c.close();
    } catch (Exception e) {
      // what is left of a broken connection goes with the process
    }
  }

  /** The triggers that the last bytes of a direction set off; they are gone then. */
  private List<Consumer<Link>> triggered(Direction direction, String bytes) {
    lock.lock();
    try {
      List<Consumer<Link>> actions = new ArrayList<>();
      triggers.removeIf(
          t -> {
            boolean hit = t.direction() == direction && bytes.contains(t.text());
            if (hit) {
              actions.add(t.action());
            }
            return hit;
          });
      return actions;
    } finally {
      lock.unlock();
    }
  }

  private int longestTrigger() {
    lock.lock();
    try {
      return triggers.stream().mapToInt(t -> t.text().length()).max().orElse(0);
    } finally {
      lock.unlock();
    }
  }

  /** Bytes on their way; none: the end of the stream. */
  private static final class Chunk {
    final byte[] bytes;
    final long readAt = System.nanoTime();

    Chunk(byte[] bytes) {
      this.bytes = bytes;
    }
  }

  /** One connection of a client with ours to the server. */
  private final class Link {

    private final Condition changed = lock.newCondition();
    private final Socket client;
    private final Socket server;
    // guarded by lock
    private boolean over;
    private boolean answered = true;
    private int endsSent;

    /** When the rest goes to the server, if its client is gone; else 0. */
    private long outlivesUntil;

    Link(Socket client, Socket server) {
      this.client = client;
      this.server = server;
    }

    void begin() {
      for (Way way :
          new Way[] {
            new Way(this, Direction.TO_SERVER, client, server),
            new Way(this, Direction.TO_CLIENT, server, client)
          }) {
        // a thread that reads and one that writes, so that a delay does not limit the throughput
        start("read-" + way.direction, way::read);
        start("write-" + way.direction, way::write);
      }
    }

    /** Nothing is forwarded any more; false if that was so already. */
    boolean end() {
      lock.lock();
      try {
        boolean first = !over;
        over = true;
        changed.signalAll();
        return first;
      } finally {
        lock.unlock();
      }
    }

    void outlive(long nanos) {
      lock.lock();
      try {
        outlivesUntil = Math.max(1, System.nanoTime() + nanos);
      } finally {
        lock.unlock();
      }
    }

    boolean outlives() {
      lock.lock();
      try {
        return outlivesUntil != 0;
      } finally {
        lock.unlock();
      }
    }

    void cut() {
      end();
      reset(client);
      reset(server);
      remove();
    }

    void remove() {
      lock.lock();
      try {
        links.remove(this);
      } finally {
        lock.unlock();
      }
    }
  }

  /** One direction of a connection. */
  private final class Way {

    private final Link link;
    private final Direction direction;
    private final Trouble trouble;
    private final Socket from;
    private final Socket to;
    // guarded by lock
    private final Queue<Chunk> kept = new ArrayDeque<>();
    private long keptBytes;

    /** Whether the thread that writes is on something that is not in the queue any more. */
    private boolean writing;

    Way(Link link, Direction direction, Socket from, Socket to) {
      this.link = link;
      this.direction = direction;
      this.trouble = trouble(direction);
      this.from = from;
      this.to = to;
    }

    void read() {
      byte[] buffer = new byte[64 << 10];
      String tail = "";
      try {
        InputStream in = from.getInputStream();
        int n;
        do {
          n = in.read(buffer);
          int longest = longestTrigger();
          if (n > 0 && longest > 0) {
            tail += new String(buffer, 0, n, StandardCharsets.ISO_8859_1);
            triggered(direction, tail).forEach(action -> action.accept(link));
            tail = tail.substring(Math.max(0, tail.length() - longest + 1));
          }
          if (direction == Direction.TO_SERVER && n > 0 && link.outlives()) {
            keep(Arrays.copyOf(buffer, n));
            keep(new byte[0]);
            reset(from);
            return;
          }
          if (direction == Direction.TO_CLIENT && n > 0 && link.outlives()) {
            continue; // nobody is left who could be told
          }
          if (n > 0 && free(n)) {
            to.getOutputStream().write(buffer, 0, n); // nothing is wrong: no other thread is needed
            continue;
          }
          // after cutAfterBytes, what else is sent is thrown away until the sender is done
          if (!keep(Arrays.copyOf(buffer, Math.max(n, 0))) && n < 0) {
            close(from);
            link.remove();
          }
        } while (n >= 0);
      } catch (IOException e) {
        if (link.end()) {
          link.cut(); // one side is gone, so must the other be
        }
      }
    }

    /** Whether bytes that were read may go on at once. */
    private boolean free(int bytes) {
      lock.lock();
      try {
        boolean free = !link.over && kept.isEmpty() && !writing && !trouble.any();
        if (free) {
          count(bytes);
        }
        return free;
      } finally {
        lock.unlock();
      }
    }

    /**
     * Queues a chunk and waits while there are too many; false if nothing is forwarded any more.
     */
    private boolean keep(byte[] bytes) {
      lock.lock();
      try {
        if (!link.over) {
          count(bytes.length);
          kept.add(new Chunk(bytes));
          keptBytes += bytes.length;
          link.changed.signalAll();
        }
        while (!link.over && bytes.length > 0 && keptBytes > MAX_KEPT) {
          link.changed.awaitUninterruptibly();
        }
        return !link.over;
      } finally {
        lock.unlock();
      }
    }

    private void count(int bytes) {
      if (bytes > 0) {
        if (direction == Direction.TO_SERVER && link.answered) {
          requests++;
        }
        link.answered = direction == Direction.TO_CLIENT;
      }
    }

    void write() {
      try {
        Chunk c;
        while ((c = take()) != null) {
          if (c.bytes.length == 0) {
            endOfStream();
            return;
          }
          int allowed = c.bytes.length;
          boolean last = false;
          lock.lock();
          try {
            if (trouble.swallowed) {
              allowed = 0;
            } else if (trouble.cutAfter >= 0) {
              last = allowed >= trouble.cutAfter;
              trouble.cutAfter -= allowed;
              if (last) {
                allowed += (int) trouble.cutAfter;
                trouble.cutAfter = -1;
                // before the write, so that no answer to these bytes gets through
                link.end();
              }
            }
          } finally {
            lock.unlock();
          }
          to.getOutputStream().write(c.bytes, 0, allowed); // not before: its socket may be closed
          if (last) {
            to.shutdownOutput(); // RST would throw away what the receiver has not read yet
            reset(from);
            return;
          }
        }
      } catch (IOException e) {
        link.cut();
      }
    }

    private void endOfStream() throws IOException {
      to.shutdownOutput();
      boolean both;
      lock.lock();
      try {
        both = ++link.endsSent == 2;
      } finally {
        lock.unlock();
      }
      if (both) {
        link.remove();
        close(from);
        close(to);
      }
    }

    /** The next chunk once it may go, or null if nothing is forwarded any more. */
    private Chunk take() {
      lock.lock();
      try {
        writing = false;
        while (!link.over) {
          Chunk c = kept.peek();
          if (c == null || trouble.stalled) {
            link.changed.awaitUninterruptibly();
            continue;
          }
          long early = c.readAt + trouble.delayNanos - System.nanoTime();
          if (direction == Direction.TO_SERVER && link.outlivesUntil != 0) {
            early = Math.max(early, link.outlivesUntil - System.nanoTime());
          }
          if (early > 0) {
            try {
              early = link.changed.awaitNanos(early);
            } catch (InterruptedException e) {
              throw new IllegalStateException("nobody interrupts the proxy's threads", e);
            }
            continue;
          }
          writing = true;
          keptBytes -= c.bytes.length;
          link.changed.signalAll();
          return kept.remove();
        }
        return null;
      } finally {
        lock.unlock();
      }
    }
  }
}
