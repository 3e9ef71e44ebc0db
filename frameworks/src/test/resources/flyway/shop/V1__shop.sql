-- several statements of every kind, in one transaction
create type status as enum ('open', 'paid', 'sent');
create domain money_amount as numeric(12,2) check (value >= 0);
create sequence order_number start 1000;

create table customer (
    id         bigint generated always as identity primary key,
    name       text not null,
    email      text unique,
    created_at timestamptz not null default now()
);
create table orders (
    id          bigint primary key default nextval('order_number'),
    customer_id bigint not null references customer on delete cascade,
    state       status not null default 'open',
    total       money_amount not null default 0,
    placed_at   timestamp not null default current_timestamp
);
alter sequence order_number owned by orders.id;
comment on table orders is 'semi;colon -- not a comment';
create index orders_customer on orders (customer_id) where state <> 'sent';

insert into customer (name, email)
select 'customer ' || g, 'c' || g || '@example.com' from generate_series(1, 50) g;
insert into orders (customer_id, total) select id, id * 1.5 from customer;
