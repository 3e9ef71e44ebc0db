-- What applications send. A line of three dashes and a group's name begins a statement.

--- key
select * from customer where id = ?
--- key
select id, name, email, created_at from customer where tenant_id = ? and id = ?
--- key
select o1_0.id, o1_0.customer_id, o1_0.placed_at, o1_0.total, o1_0.note, o1_0.version from orders o1_0 where o1_0.id=?
--- key
select 1
--- key
insert into customer (id, name, email) values (?, ?, ?)
--- key
insert into orders (customer_id, placed_at, total, note, version, id) values (?, ?, ?, ?, ?, ?)
--- key
update orders set customer_id=?, placed_at=?, total=?, note=?, version=? where id=? and version=?
--- key
update account set balance = balance - ? where id = ?
--- key
delete from cart_item where cart_id = ? and line = ?
--- key
select nextval('orders_id_seq')
--- query
select o.id, o.placed_at, c.name, sum(i.quantity * i.price) as total from orders o join customer c on c.id = o.customer_id left join order_item i on i.order_id = o.id where o.placed_at >= ? and o.placed_at < ? and c.country in ('DE', 'FR', 'IT') group by o.id, o.placed_at, c.name having count(*) > 1 order by o.placed_at desc limit 50 offset ?
--- query
select count(*) from reading where sensor_id = ? and at > now() - interval '1 day'
--- query
select time_bucket('5 minutes', at) as bucket, sensor_id, avg(value), max(value), percentile_cont(0.95) within group (order by value) from reading where at between ? and ? group by 1, 2 order by 1
--- query
with recursive tree as (select id, parent_id, name, 1 as depth from category where parent_id is null union all select c.id, c.parent_id, c.name, t.depth + 1 from category c join tree t on t.id = c.parent_id where t.depth < 10) select * from tree order by depth, name
--- query
with monthly as (
    select date_trunc('month', placed_at) as month, customer_id, sum(total) as revenue
    from orders
    where status <> 'cancelled' and placed_at >= date '2025-01-01'
    group by 1, 2
), ranked as (
    select month, customer_id, revenue,
           rank() over (partition by month order by revenue desc) as position,
           revenue - lag(revenue) over (partition by customer_id order by month) as growth
    from monthly
)
select r.month, c.name, c.country, r.revenue, r.position, coalesce(r.growth, 0) as growth,
       case when r.growth > 0 then 'up' when r.growth < 0 then 'down' else 'flat' end as trend
from ranked r
join customer c on c.id = r.customer_id
where r.position <= 10
  and exists (select 1 from contract k where k.customer_id = c.id and k.valid_until > current_date)
order by r.month, r.position
--- query
select "u"."id", "u"."email", "p"."avatar_url", ("u"."settings" -> 'theme') ->> 'name' from "public"."user" as "u" left outer join "public"."profile" as "p" on "u"."id" = "p"."user_id" where "u"."email" ilike $1 and "u"."tags" && $2::text[] order by "u"."id" asc limit $3
--- query
select a.id, b.id from a, b where a.x = b.x and a.ts::date = '2026-01-01' and b.data @> '{"kind": "x"}'::jsonb and not a.deleted
--- query
select * from job where state = 'ready' and run_at <= now() order by priority desc, id for update skip locked limit 10
--- write
insert into stock (sku, warehouse, quantity) values (?, ?, ?) on conflict (sku, warehouse) do update set quantity = stock.quantity + excluded.quantity, changed_at = now() returning quantity
--- write
insert into event (id, kind, payload, at) values (gen_random_uuid(), ?, ?::jsonb, clock_timestamp()) returning id, at
--- write
insert into audit_log select nextval('audit_id'), now(), current_user, o.* from orders o where o.id = ?
--- write
insert into tag (name) values (?) on conflict do nothing
--- write
update orders o set status = 'shipped', shipped_at = now() from shipment s where s.order_id = o.id and s.id = any (?) and o.status = 'packed' returning o.id
--- write
update "Order" set "Total" = (select sum(i.price * i.quantity) from order_item i where i.order_id = "Order"."Id"), "ChangedAt" = localtimestamp where "Id" = $1
--- write
delete from session using account a where session.account_id = a.id and a.locked and session.last_seen < now() - interval '30 days'
--- write
with gone as (delete from cart where expires_at < now() returning id, owner_id) insert into cart_archive (id, owner_id) select id, owner_id from gone
--- write
merge into stock s using delivery d on s.sku = d.sku when matched then update set quantity = s.quantity + d.quantity when not matched then insert (sku, quantity) values (d.sku, d.quantity)
--- write
update job set state = 'running', started_at = now(), worker = ? where id = (select id from job where state = 'ready' order by id for update skip locked limit 1) returning *
--- bulk
copy reading (sensor_id, at, value) from stdin with (format csv, header true, null '')
--- bulk
insert into reading (sensor_id, at, value) select * from unnest(?::int[], ?::timestamptz[], ?::float8[])
--- odd
/* checkout-service 4.2, trace 7f3a9c0e5b1d */ select /* by key */ balance -- current
from account where id = ? /* nested /* comment */ here */
--- odd
select E'it\'s', U&'d\0061t', B'0101', $$a 'quoted' text$$, $tag$ with $$ inside $tag$, 'plain ''quotes'''
--- odd
create or replace function touch() returns trigger language plpgsql as $body$
begin
  if new.changed_at is distinct from old.changed_at then
    return new;
  end if;
  new.changed_at := now(); -- the row's own clock
  insert into touched (table_name, id) values (tg_table_name, new.id);
  return new;
end
$body$
--- odd
set local statement_timeout = '5s'
--- odd
begin; update account set balance = balance - 10 where id = 1; update account set balance = balance + 10 where id = 2; commit
--- odd
create table reading (sensor_id int not null references sensor (id), at timestamptz not null default now(), value double precision check (value > -1000), primary key (sensor_id, at)) partition by range (at)
--- odd
select data ?? 'key', data #>> '{a,b}', data @? '$.x[*]' from document where data ??| array['a', 'b'] and id = ?
--- odd
explain (analyze, buffers) select * from reading where at > now() - interval '1 hour'
