package io.dualwrite.embedded;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.TcpProxy.Direction;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TcpProxyTest {

  /** A thread for each: the common pool has one on two processors, and what is run here blocks. */
  private static final java.util.concurrent.Executor THREADS = r -> new Thread(r, "test").start();

  private ServerSocket server;
  private TcpProxy proxy;

  @BeforeEach
  void listen() throws IOException {
    server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    proxy = new TcpProxy("localhost", server.getLocalPort());
  }

  @AfterEach
  void close() throws IOException {
    proxy.close();
    server.close();
  }

  /** A client's socket and the server's end of the same connection. */
  private record Ends(Socket client, Socket server) implements AutoCloseable {
    void send(String text) throws IOException {
      client.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    void answer(String text) throws IOException {
      server.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    static String read(Socket s, int n) throws IOException {
      return new String(s.getInputStream().readNBytes(n), StandardCharsets.ISO_8859_1);
    }

    @Override
    public void close() throws IOException {
      client.close();
      server.close();
    }
  }

  private Socket client() throws IOException {
    Socket s = new Socket(InetAddress.getLoopbackAddress(), proxy.port());
    s.setSoTimeout(20_000);
    return s;
  }

  private Ends connect() throws IOException {
    Socket c = client();
    Socket s = server.accept();
    s.setSoTimeout(20_000);
    Ends ends = new Ends(c, s);
    ends.send("hello");
    assertEquals("hello", Ends.read(s, 5));
    return ends;
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, "it did not come to pass");
      LockSupport.parkNanos(1_000_000);
    }
  }

  private static void assertNothingArrives(Socket s) throws IOException {
    s.setSoTimeout(150);
    assertThrows(SocketTimeoutException.class, () -> s.getInputStream().read());
    s.setSoTimeout(20_000);
  }

  @Test
  void aRequestOutlivesItsClient() throws Exception {
    try (Ends e = connect();
        Ends other = connect()) {
      proxy.outlive("COMMIT", Duration.ofMillis(400));
      long start = System.nanoTime();
      e.send("please COMMIT");
      assertThrows(SocketException.class, () -> e.client().getInputStream().read());
      other.send("COMMIT");
      assertEquals("COMMIT", Ends.read(other.server(), 6));
      assertEquals("please COMMIT", Ends.read(e.server(), 13));
      assertTrue(System.nanoTime() - start >= TimeUnit.MILLISECONDS.toNanos(400));
      assertEquals(-1, e.server().getInputStream().read());
      other.answer("done");
      assertEquals("done", Ends.read(other.client(), 4));
    }
  }

  @Test
  void bytesArriveUnalteredBothWaysAndSoDoEndsOfStreams() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    byte[] sent = new byte[5_000_000];
    new Random(seed).nextBytes(sent);
    try (Ends e = connect()) {
      CompletableFuture<Void> echo =
          CompletableFuture.runAsync(
              () -> {
                try (InputStream in = e.server().getInputStream();
                    OutputStream out = e.server().getOutputStream()) {
                  in.transferTo(out);
                } catch (IOException x) {
                  throw new java.io.UncheckedIOException(x);
                }
              },
              THREADS);
      CompletableFuture<Void> writes =
          CompletableFuture.runAsync(
              () -> {
                try {
                  e.client().getOutputStream().write(sent);
                  e.client().shutdownOutput();
                } catch (IOException x) {
                  throw new java.io.UncheckedIOException(x);
                }
              },
              THREADS);
      assertArrayEquals(sent, e.client().getInputStream().readAllBytes());
      writes.get(10, TimeUnit.SECONDS);
      echo.get(10, TimeUnit.SECONDS);
      await(() -> proxy.connections() == 0);
    }
  }

  @Test
  void cutResetsBothSidesAndAcceptsNewOnes() throws Exception {
    try (Ends e = connect()) {
      proxy.cut();
      assertThrows(SocketException.class, () -> e.client().getInputStream().read());
      assertThrows(SocketException.class, () -> e.server().getInputStream().read());
      assertEquals(0, proxy.connections());
    }
    try (Ends e = connect()) {
      assertEquals(1, proxy.connections(), e.toString());
      assertEquals(2, proxy.accepted());
    }
  }

  @Test
  void theEndOfOneSideIsTheEndOfTheOther() throws Exception {
    try (Ends e = connect()) {
      e.client().setSoLinger(true, 0);
      e.client().close();
      assertThrows(SocketException.class, () -> e.server().getInputStream().read());
    }
    try (Ends e = connect()) {
      e.server().close();
      assertEquals(-1, e.client().getInputStream().read());
    }
  }

  @Test
  void refusedConnectionsAreResetAndOthersStay() throws Exception {
    try (Ends e = connect()) {
      proxy.refuse();
      try (Socket s = client()) {
        assertThrows(SocketException.class, () -> s.getInputStream().read());
      } catch (SocketException early) {
        assertTrue(proxy.accepted() >= 1); // the reset came before the options were set
      }
      e.send("more");
      assertEquals("more", Ends.read(e.server(), 4));
    }
    proxy.resume();
    connect().close();
  }

  @Test
  void aServerThatIsNotThereResets() throws Exception {
    server.close();
    try (Socket s = client()) {
      assertThrows(SocketException.class, () -> s.getInputStream().read());
    }
  }

  @Test
  void requestsAreCountedByTurnsNotByPackets() throws Exception {
    try (Ends e = connect()) {
      assertEquals(1, proxy.requests()); // the greeting
      e.send("still");
      assertEquals("still", Ends.read(e.server(), 5));
      assertEquals(1, proxy.requests());
      e.answer("yes");
      assertEquals("yes", Ends.read(e.client(), 3));
      e.send("and");
      assertEquals("and", Ends.read(e.server(), 3));
      assertEquals(2, proxy.requests());
    }
    try (Ends e = connect()) {
      assertEquals(3, proxy.requests(), e.toString());
    }
  }

  @Test
  void whatIsStalledArrivesAfterResume() throws Exception {
    try (Ends e = connect()) {
      proxy.stall();
      e.send("to");
      e.answer("fro");
      assertNothingArrives(e.server());
      assertNothingArrives(e.client());
      proxy.resume();
      assertEquals("to", Ends.read(e.server(), 2));
      assertEquals("fro", Ends.read(e.client(), 3));
      proxy.stall(Direction.TO_CLIENT);
      e.send("one way");
      assertEquals("one way", Ends.read(e.server(), 7));
      e.answer("x");
      assertNothingArrives(e.client());
      proxy.cut(); // a stalled connection can be cut
      assertThrows(SocketException.class, () -> e.client().getInputStream().read());
    }
  }

  @Test
  void aStalledDirectionPushesBackInsteadOfKeepingEverything() throws Exception {
    try (Ends e = connect()) {
      proxy.stall(Direction.TO_SERVER);
      int total = 64 << 20;
      AtomicInteger written = new AtomicInteger();
      CompletableFuture<Void> writer =
          CompletableFuture.runAsync(
              () -> {
                byte[] block = new byte[64 << 10];
                try {
                  while (written.get() < total) {
                    e.client().getOutputStream().write(block);
                    written.addAndGet(block.length);
                  }
                } catch (IOException x) {
                  throw new java.io.UncheckedIOException(x);
                }
              },
              THREADS);
      AtomicInteger before = new AtomicInteger(-1);
      await(
          () -> {
            LockSupport.parkNanos(100_000_000);
            return written.get() == before.getAndSet(written.get());
          });
      assertTrue(written.get() < total, written + " bytes were taken");
      proxy.resume();
      assertEquals(total, e.server().getInputStream().readNBytes(total).length);
      writer.get(10, TimeUnit.SECONDS);
    }
  }

  @Test
  void delayedBytesArriveLaterEachWayByItself() throws Exception {
    try (Ends e = connect()) {
      proxy.delay(Direction.TO_SERVER, Duration.ofMillis(200));
      long start = System.nanoTime();
      e.send("slow");
      assertEquals("slow", Ends.read(e.server(), 4));
      assertTrue(System.nanoTime() - start >= 200_000_000L);
      proxy.delay(Direction.TO_SERVER, Duration.ofDays(1));
      e.send("never");
      assertNothingArrives(e.server());
      e.answer("fast");
      assertEquals("fast", Ends.read(e.client(), 4));
      proxy.resume();
      assertEquals("never", Ends.read(e.server(), 5));
    }
  }

  @Test
  void aBlackHoleAcceptsAndForwardsNothingEver() throws Exception {
    proxy.blackhole();
    try (Socket c = client();
        Socket s = server.accept()) {
      c.getOutputStream().write(1);
      assertNothingArrives(s);
      proxy.resume();
      assertNothingArrives(s);
      c.getOutputStream().write(2);
      assertEquals(2, s.getInputStream().read());
    }
  }

  @Test
  void aConnectionEndsAfterSoManyBytesWhichAllArrive() throws Exception {
    try (Ends e = connect()) {
      proxy.cutAfterBytes(Direction.TO_SERVER, 7);
      e.send("1234");
      assertEquals("1234", Ends.read(e.server(), 4));
      e.send("56789");
      assertEquals(
          "567",
          new String(e.server().getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1));
      assertThrows(SocketException.class, () -> e.client().getInputStream().read());
    }
    await(() -> proxy.connections() == 0);
    try (Ends e = connect()) {
      proxy.cutAfterBytes(Direction.TO_CLIENT, 0);
      e.answer("never");
      assertEquals(-1, e.client().getInputStream().read());
      assertThrows(SocketException.class, () -> e.server().getInputStream().read());
    }
    connect().close(); // once
    assertThrows(
        IllegalArgumentException.class, () -> proxy.cutAfterBytes(Direction.TO_CLIENT, -1));
  }

  @Test
  void anActionRunsOnceBeforeTheTextIsThere() throws Exception {
    AtomicInteger runs = new AtomicInteger();
    proxy.onFirst(
        Direction.TO_SERVER,
        "COMMIT",
        () -> {
          runs.incrementAndGet();
          proxy.stall(Direction.TO_SERVER);
        });
    try (Ends e = connect()) {
      e.answer("COMMIT"); // the other way
      assertEquals("COMMIT", Ends.read(e.client(), 6));
      e.send("COM");
      assertEquals("COM", Ends.read(e.server(), 3));
      e.send("MIT");
      assertNothingArrives(e.server());
      assertEquals(1, runs.get());
      proxy.resume();
      e.send("COMMIT");
      assertEquals("MITCOMMIT", Ends.read(e.server(), 9));
      assertEquals(1, runs.get());
    }
  }

  @Test
  void closeCutsAndStopsListening() throws Exception {
    try (Ends e = connect()) {
      proxy.close();
      assertThrows(SocketException.class, () -> e.client().getInputStream().read());
      assertThrows(IOException.class, this::client);
    }
  }

  /** What it is for: a commit whose answer is lost. */
  @Test
  void aCommitIsDoneThoughItsAnswerIsLost() throws Exception {
    PgPair pair = PgPair.shared();
    pair.executeSource("create table t(id int)");
    try (TcpProxy p = new TcpProxy("localhost", pair.sourceServer().port())) {
      String url = "jdbc:postgresql://localhost:" + p.port() + "/" + pair.database();
      try (Connection c = DriverManager.getConnection(url, "postgres", "postgres");
          Statement s = c.createStatement()) {
        c.setAutoCommit(false);
        s.execute("insert into t values (1)");
        p.onFirst(Direction.TO_CLIENT, "COMMIT", p::cut);
        assertEquals("08006", assertThrows(SQLException.class, c::commit).getSQLState());
      }
      try (Connection c = pair.source();
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery("select count(*) from t")) {
        assertTrue(r.next());
        assertEquals(1, r.getInt(1));
      }
    }
  }
}
