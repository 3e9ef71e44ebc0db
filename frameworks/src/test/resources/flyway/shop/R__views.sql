create or replace view open_orders as select o.id, c.name, o.amount from orders o join customer c on c.id = o.customer_id where o.state = 'open';
