<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl cron: scheduled events.
 */
final class Cron_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		return array(
			'event run'  => new Command( '--due-now', array( self::class, 'run' ), array( 'due-now' ), 0, 1 ),
			'event list' => new Command( '', array( self::class, 'list' ) ),
		);
	}

	/**
	 * Runs what is due. One host at a time: the database holds the lock, and a dead host loses it.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When --due-now is missing.
	 */
	public static function run( Args $args ): void {
		global $wpdb;
		if ( ! $args->on( 'due-now' ) ) {
			throw new Usage( 'Usage: wpctl cron event run --due-now' );
		}
		if ( ! defined( 'DOING_CRON' ) ) {
			define( 'DOING_CRON', true );
		}
		$lock = 'perennial-cron-' . \Perennial\site_id();
		if ( '1' !== (string) $wpdb->get_var( $wpdb->prepare( 'SELECT GET_LOCK(%s, 0)', $lock ) ) ) {
			Out::success( $args, 'Another host is running the events.' );
			return;
		}
		// The other host may have run them between our loading the options and our getting the lock.
		wp_cache_delete( 'alloptions', 'options' );
		wp_cache_delete( 'cron', 'options' );
		$count = 0;
		if ( ! wp_next_scheduled( 'perennial_prune_bans' ) ) {
			wp_schedule_event( time(), 'hourly', 'perennial_prune_bans' );
		}
		foreach ( wp_get_ready_cron_jobs() as $time => $hooks ) {
			foreach ( $hooks as $hook => $events ) {
				foreach ( $events as $event ) {
					$args->on( 'dry-run' ) ? print "$hook\n" : self::fire( (int) $time, $hook, $event );
					++$count;
				}
			}
		}
		$wpdb->query( $wpdb->prepare( 'SELECT RELEASE_LOCK(%s)', $lock ) );
		Out::success( $args, "Executed $count cron events." );
	}

	/**
	 * Runs one event; it is taken off the list first, so that a failing one cannot run for ever.
	 */
	private static function fire( int $time, string $hook, array $event ): void {
		if ( $event['schedule'] ) {
			wp_reschedule_event( $time, $event['schedule'], $hook, $event['args'] );
		}
		wp_unschedule_event( $time, $hook, $event['args'] );
		do_action_ref_array( $hook, $event['args'] );
	}

	/**
	 * Lists events.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$rows = array();
		foreach ( _get_cron_array() as $time => $hooks ) {
			foreach ( $hooks as $hook => $events ) {
				foreach ( $events as $event ) {
					$rows[] = array(
						'hook' => $hook,
						'next_run_gmt' => gmdate( 'Y-m-d H:i:s', $time ),
						'recurrence' => $event['schedule'] ? $event['schedule'] : 'once',
						'overdue_seconds' => max( 0, time() - $time ),
					);
				}
			}
		}
		Out::rows( $args, $rows, array( 'hook', 'next_run_gmt', 'recurrence', 'overdue_seconds' ), 'hook' );
	}
}
