package io.dualwrite.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class DatasetTest {

  @Test
  void quotedFieldsMayHoldCommasAndQuotes() {
    assertEquals(
        List.of("a", "4km W of \"Castaic\", CA", "", "b"),
        Csv.fields("a,\"4km W of \"\"Castaic\"\", CA\",,b"));
  }

  @Test
  void halfIsHistoryAndNothingIsLost() {
    Dataset d = Dataset.load(1);
    assertEquals(3376, d.airports().size());
    assertEquals(10_000, d.oldFlights().size());
    assertEquals(10_000, d.liveFlights().size());
    Set<Dataset.Flight> flights = new HashSet<>(d.oldFlights());
    flights.addAll(d.liveFlights());
    assertEquals(20_000, flights.size());
    assertEquals(853, d.oldQuakes().size());
    Set<String> ids = new HashSet<>();
    d.oldQuakes().forEach(q -> ids.add(q.id()));
    d.liveQuakes().forEach(r -> ids.add(r.quake().id()));
    assertEquals(1707, ids.size());
  }

  @Test
  void everyEarthquakeEndsAsTheDataHasIt() {
    Dataset d = Dataset.load(1);
    Set<String> open = new HashSet<>();
    for (Dataset.Report r : d.liveQuakes()) {
      if (r.first()) {
        assertTrue(open.add(r.quake().id()), "reported first twice: " + r);
        assertEquals("automatic", r.quake().status());
      } else {
        open.remove(r.quake().id());
      }
    }
    assertEquals(Set.of(), open, "reported and never revised");
  }

  @Test
  void someDataComesLateAndSomeRevisesHistory() {
    Dataset d = Dataset.load(1);
    int late = 0;
    for (int i = 1; i < d.liveFlights().size(); i++) {
      if (d.liveFlights().get(i).departedAt().isBefore(d.liveFlights().get(i - 1).departedAt())) {
        late++;
      }
    }
    assertTrue(late > 100, "late flights: " + late);
    Set<String> old = new HashSet<>();
    d.oldQuakes().forEach(q -> old.add(q.id()));
    long revised = d.liveQuakes().stream().filter(r -> old.contains(r.quake().id())).count();
    assertTrue(revised > 50, "revisions of history: " + revised);
  }

  @Test
  void seedDecides() {
    assertEquals(Dataset.load(7), Dataset.load(7));
    assertNotEquals(Dataset.load(7), Dataset.load(8));
  }
}
