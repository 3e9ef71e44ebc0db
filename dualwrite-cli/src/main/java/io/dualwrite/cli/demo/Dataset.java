package io.dualwrite.cli.demo;

import java.math.BigDecimal;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The real data, cut in two: what the source holds before the application starts, and what the
 * application brings.
 *
 * @param airports all of them are history
 * @param oldFlights the first half by time of departure
 * @param liveFlights the second half, in the order in which the application learns of them: most by
 *     time of departure, some late
 * @param oldQuakes what was known when half of the earthquakes had happened
 * @param liveQuakes reports and revisions after that, in the order of their publication
 */
record Dataset(
    List<Airport> airports,
    List<Flight> oldFlights,
    List<Flight> liveFlights,
    List<Quake> oldQuakes,
    List<Report> liveQuakes) {

  record Airport(
      String iata,
      String name,
      String city,
      String state,
      String country,
      double latitude,
      double longitude) {}

  record Flight(
      OffsetDateTime departedAt, String origin, String destination, int miles, int delay) {}

  record Quake(
      String id,
      OffsetDateTime occurredAt,
      OffsetDateTime updatedAt,
      BigDecimal magnitude,
      String magnitudeType,
      String place,
      String status,
      double longitude,
      double latitude,
      double depth) {

    /** As the network first reports it: automatic, a few minutes later, a rougher magnitude. */
    Quake preliminary(SplittableRandom random) {
      OffsetDateTime reported = occurredAt.plusSeconds(60 + random.nextInt(240));
      return new Quake(
          id,
          occurredAt,
          reported.isBefore(updatedAt) ? reported : occurredAt.plusSeconds(1),
          magnitude.add(BigDecimal.valueOf(random.nextInt(-3, 4), 1)),
          magnitudeType,
          place,
          "automatic",
          longitude,
          latitude,
          depth);
    }
  }

  /** One message of the earthquake feed. */
  record Report(Quake quake, boolean first) {}

  static Dataset load(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Airport> airports =
        Csv.read("airports.csv").stream()
            .map(
                f ->
                    new Airport(
                        f.get(0),
                        f.get(1),
                        f.get(2),
                        f.get(3),
                        f.get(4),
                        Double.parseDouble(f.get(5)),
                        Double.parseDouble(f.get(6))))
            .toList();
    List<Flight> flights =
        Csv.read("flights.csv.gz").stream()
            .map(
                f ->
                    new Flight(
                        OffsetDateTime.parse(f.get(0).replace(' ', 'T')),
                        f.get(1),
                        f.get(2),
                        Integer.parseInt(f.get(3)),
                        Integer.parseInt(f.get(4))))
            .sorted(Comparator.comparing(Flight::departedAt))
            .toList();
    List<Quake> quakes =
        Csv.read("earthquakes.csv").stream()
            .map(
                f ->
                    new Quake(
                        f.get(0),
                        time(f.get(1)),
                        time(f.get(2)),
                        new BigDecimal(f.get(3)),
                        f.get(4),
                        f.get(5),
                        f.get(6),
                        Double.parseDouble(f.get(7)),
                        Double.parseDouble(f.get(8)),
                        Double.parseDouble(f.get(9))))
            .sorted(Comparator.comparing(Quake::occurredAt).thenComparing(Quake::id))
            .toList();

    int half = flights.size() / 2;
    List<Quake> oldQuakes = new ArrayList<>();
    List<Report> reports = new ArrayList<>();
    OffsetDateTime now = quakes.get(quakes.size() / 2).occurredAt();
    for (Quake q : quakes) {
      Quake first = q.preliminary(random);
      boolean old = q.occurredAt().isBefore(now);
      if (old && !q.updatedAt().isAfter(now)) {
        oldQuakes.add(q);
        continue;
      }
      if (old) {
        oldQuakes.add(first);
      } else if (random.nextInt(100) >= 4) { // the others are first heard of when they are revised
        reports.add(new Report(first, true));
      }
      reports.add(new Report(q, false));
    }
    reports.sort(
        Comparator.comparing((Report r) -> r.quake().updatedAt())
            .thenComparing(r -> !r.first())
            .thenComparing(r -> r.quake().id()));
    return new Dataset(
        airports,
        flights.subList(0, half),
        late(flights.subList(half, flights.size()), random),
        List.copyOf(oldQuakes),
        List.copyOf(reports));
  }

  /** One flight in thirty is reported late, behind up to a thousand others. */
  private static List<Flight> late(List<Flight> flights, SplittableRandom random) {
    record Placed(Flight flight, int place) {}
    List<Placed> placed = new ArrayList<>();
    for (int i = 0; i < flights.size(); i++) {
      int behind = random.nextInt(30) == 0 ? random.nextInt(1000) : 0;
      placed.add(new Placed(flights.get(i), i + behind));
    }
    return placed.stream()
        .sorted(Comparator.comparingInt(Placed::place))
        .map(Placed::flight)
        .toList();
  }

  private static OffsetDateTime time(String millis) {
    return Instant.ofEpochMilli(Long.parseLong(millis)).atOffset(ZoneOffset.UTC);
  }
}
