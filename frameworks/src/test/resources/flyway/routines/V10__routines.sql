create table audit (id bigserial primary key, what text, at timestamptz default clock_timestamp());
create function audited() returns trigger language plpgsql as $$
begin
  insert into audit (what) values (tg_op || ' ' || new.name);
  return new;
end;
$$;
create trigger customer_audited after insert or update on customer for each row execute function audited();
do $$
begin
  for i in 1..10 loop
    update customer set note = 'seen ' || i where id = i;
  end loop;
  execute 'create table made_by_do (n int primary key)';
  insert into made_by_do values (1), (2);
end
$$;
insert into customer (name) values ('by a script');
