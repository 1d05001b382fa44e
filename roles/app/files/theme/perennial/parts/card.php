<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One post in a list.
 */

defined( 'ABSPATH' ) || exit;
?>
<article <?php post_class( 'card' ); ?>>
	<?php if ( has_post_thumbnail() ) : ?>
		<?php the_post_thumbnail( 'medium_large', Perennial\Theme\CARD_IMAGE ); ?>
	<?php else : ?>
		<span class="card-image card-initial" aria-hidden="true">
			<?php echo esc_html( Perennial\Theme\initial( get_the_title() ) ); ?>
		</span>
	<?php endif; ?>
	<div class="card-body">
		<?php if ( is_sticky() && is_home() ) : ?>
			<span class="badge"><?php esc_html_e( 'Pinned', 'perennial' ); ?></span>
		<?php endif; ?>
		<h2><a href="<?php the_permalink(); ?>"><?php the_title(); ?></a></h2>
		<p><?php echo esc_html( Perennial\Theme\excerpt( get_post() ) ); ?></p>
		<?php Perennial\Theme\meta(); ?>
	</div>
</article>
